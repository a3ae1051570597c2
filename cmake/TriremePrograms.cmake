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
foreach(source IN LISTS benchmark_sources)
  cmake_path(GET source STEM name)
  trireme_program(bench_${name} ${source})
  target_link_libraries(bench_${name} PRIVATE benchmark::benchmark)
  target_include_directories(bench_${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")  # helpers: "benchmarks/x-inl.h"
endforeach()
