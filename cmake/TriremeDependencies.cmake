# Third-party libraries, all Debian packages (scripts/install_dependencies lists them), and how schemas are compiled.
include(TriremeThirdParty)

# Header-only ones, needed to build the library and the programs but not by those who link to it.
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
target_link_libraries(trireme_third_party INTERFACE nlohmann_json::nlohmann_json CLI11::CLI11)

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
