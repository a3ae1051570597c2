# `trireme_headers_alone` (not in `all`): every header of the library as the first include of a file of its own.
# scripts/check_house builds it.
file(GLOB_RECURSE trireme_all_headers CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}"
     core/*.h comm/*.h sharding/*.h cluster/*.h strategies/*.h checkpoint/*.h training/*.h launcher/*.h)
list(FILTER trireme_all_headers EXCLUDE REGEX "${TRIREME_SOURCE_PARTS}")
set(trireme_header_sources "")
foreach(header IN LISTS trireme_all_headers)
  string(REPLACE "/" "_" name "${header}")
  set(source "${CMAKE_CURRENT_BINARY_DIR}/headers_alone/${name}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"trireme/${header}\"\n#include \"trireme/${header}\"\n" @ONLY)
  list(APPEND trireme_header_sources "${source}")
endforeach()
add_library(trireme_headers_alone OBJECT EXCLUDE_FROM_ALL ${trireme_header_sources})
target_link_libraries(trireme_headers_alone PRIVATE trireme::trireme trireme_warnings)
target_compile_options(trireme_headers_alone PRIVATE -O0)
