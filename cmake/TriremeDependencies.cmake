# Third-party libraries, all from Debian packages (scripts/install_dependencies lists them). They are private to the
# library: public headers include none of them but fmt.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Protobuf REQUIRED)
find_package(CLI11 REQUIRED)

# Debian's dnnl package file needs OpenCL headers that nothing here uses, so the library is looked up directly.
find_path(TRIREME_DNNL_INCLUDE dnnl.hpp REQUIRED)
find_library(TRIREME_DNNL_LIBRARY dnnl REQUIRED)
find_path(TRIREME_HWY_INCLUDE hwy/highway.h REQUIRED)
find_library(TRIREME_HWY_LIBRARY hwy REQUIRED)
find_path(TRIREME_XXHASH_INCLUDE xxhash.h REQUIRED)
find_library(TRIREME_XXHASH_LIBRARY xxhash REQUIRED)

add_library(trireme_third_party INTERFACE)
target_include_directories(trireme_third_party SYSTEM INTERFACE "${TRIREME_DNNL_INCLUDE}" "${TRIREME_HWY_INCLUDE}"
                           "${TRIREME_XXHASH_INCLUDE}")
target_link_libraries(trireme_third_party INTERFACE spdlog::spdlog nlohmann_json::nlohmann_json CLI11::CLI11 protobuf::libprotobuf
                      "${TRIREME_DNNL_LIBRARY}" "${TRIREME_HWY_LIBRARY}" "${TRIREME_XXHASH_LIBRARY}")

# Compiles .proto files beside their owners: checkpoint/manifest.proto -> "checkpoint/manifest.pb.h" for that .cpp only.
function(trireme_generate_protobuf target)
  foreach(proto IN LISTS ARGN)
    cmake_path(RELATIVE_PATH proto BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" OUTPUT_VARIABLE relative)
    string(REGEX REPLACE "\\.proto$" "" stem "${relative}")
    set(out "${CMAKE_CURRENT_BINARY_DIR}/proto/${stem}")
    cmake_path(GET out PARENT_PATH folder)
    file(MAKE_DIRECTORY "${folder}")
    add_custom_command(OUTPUT "${out}.pb.cc" "${out}.pb.h"
      COMMAND protobuf::protoc --cpp_out "${CMAKE_CURRENT_BINARY_DIR}/proto" -I "${CMAKE_CURRENT_SOURCE_DIR}" "${proto}"
      DEPENDS "${proto}" VERBATIM)
    target_sources(${target} PRIVATE "${out}.pb.cc")
    set_source_files_properties("${out}.pb.cc" PROPERTIES COMPILE_OPTIONS "-w" SKIP_PRECOMPILE_HEADERS ON)
  endforeach()
  target_include_directories(${target} SYSTEM PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/proto")
endfunction()
