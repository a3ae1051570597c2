# One program a file in examples/ and benchmarks/ (a benchmark gets the prefix bench_), and the `trireme` command from
# launcher/. All end up in build/bin.
find_package(benchmark REQUIRED)

function(trireme_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE trireme::trireme trireme_warnings trireme_third_party)
endfunction()

# The command's sources but main() are a library, so that tests can call its pure parts.
file(GLOB_RECURSE launcher_sources CONFIGURE_DEPENDS launcher/*.cpp)
list(REMOVE_ITEM launcher_sources "${CMAKE_CURRENT_SOURCE_DIR}/launcher/main.cpp")
add_library(trireme_launcher STATIC ${launcher_sources})
target_link_libraries(trireme_launcher PUBLIC trireme::trireme
                      PRIVATE trireme_warnings trireme_third_party CLI11::CLI11)
target_compile_definitions(trireme_launcher PRIVATE TRIREME_VERSION="${PROJECT_VERSION}")
trireme_program(trireme_cli launcher/main.cpp)
target_link_libraries(trireme_cli PRIVATE trireme_launcher)
set_target_properties(trireme_cli PROPERTIES OUTPUT_NAME trireme)

file(GLOB example_sources CONFIGURE_DEPENDS examples/*.cpp)
foreach(source IN LISTS example_sources)
  cmake_path(GET source STEM name)
  trireme_program(${name} ${source})
endforeach()

file(GLOB benchmark_sources CONFIGURE_DEPENDS benchmarks/*.cpp)
# bench_matrix_product measures our products beside oneDNN's; nothing else needs that library. Debian's dnnl package
# file asks for OpenCL headers that nothing here uses, so the library is looked up directly.
find_path(TRIREME_DNNL_INCLUDE dnnl.h)
find_library(TRIREME_DNNL_LIBRARY dnnl)
find_package(OpenMP)
if(NOT TRIREME_DNNL_INCLUDE OR NOT TRIREME_DNNL_LIBRARY OR NOT OpenMP_CXX_FOUND)
  message(STATUS "bench_matrix_product is left out: it needs oneDNN (Debian: libdnnl-dev) and OpenMP")
  list(FILTER benchmark_sources EXCLUDE REGEX "matrix_product")
endif()
if(NOT TRIREME_HAS_MPI)
  message(STATUS "bench_mpi is left out: it needs the MPI backend")
  list(FILTER benchmark_sources EXCLUDE REGEX "benchmarks/mpi\\.cpp$")
endif()
if(NOT TRIREME_HAS_GLOO)
  message(STATUS "bench_gloo is left out: this build has no Gloo")
  list(FILTER benchmark_sources EXCLUDE REGEX "benchmarks/gloo\\.cpp$")
endif()
foreach(source IN LISTS benchmark_sources)
  cmake_path(GET source STEM name)
  trireme_program(bench_${name} ${source})
  target_link_libraries(bench_${name} PRIVATE trireme_launcher benchmark::benchmark)
  target_include_directories(bench_${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")  # helpers: "benchmarks/x-inl.h"
endforeach()
if(TARGET bench_mpi)
  target_include_directories(bench_mpi SYSTEM PRIVATE "${TRIREME_MPI_INCLUDE}")
endif()
if(TARGET bench_matrix_product)
  target_include_directories(bench_matrix_product SYSTEM PRIVATE "${TRIREME_DNNL_INCLUDE}")
  target_link_libraries(bench_matrix_product PRIVATE "${TRIREME_DNNL_LIBRARY}" OpenMP::OpenMP_CXX)
endif()
