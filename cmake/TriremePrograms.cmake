# One program a file in examples/ and benchmarks/ (a benchmark gets the prefix bench_), and the `trireme` command from
# launcher/. All end up in build/bin.
find_package(benchmark REQUIRED)

function(trireme_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE trireme::trireme trireme_warnings trireme_third_party)
endfunction()

file(GLOB_RECURSE launcher_sources CONFIGURE_DEPENDS launcher/*.cpp)
if(launcher_sources)
  trireme_program(trireme_cli ${launcher_sources})
  set_target_properties(trireme_cli PROPERTIES OUTPUT_NAME trireme)
endif()

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
endforeach()
