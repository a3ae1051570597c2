# Writes BUILD/umbrella/trireme/trireme.h, which includes the public headers: those that lie directly in a folder of the
# library, and strategies/NAME/NAME.h. Backends and other parts in deeper folders are reached through them.
set(TRIREME_SOURCE_PARTS "-inl\\.h$|core/base/simd\\.h$")  # parts of vector kernels' sources: no headers for users
file(GLOB trireme_public_headers CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}"
     core/*/*.h core/nn/models/*.h comm/*.h sharding/*.h cluster/*.h strategies/*.h checkpoint/*.h training/*.h)
file(GLOB trireme_strategy_headers CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" strategies/*/*.h)
foreach(header IN LISTS trireme_strategy_headers)
  if(header MATCHES "/([a-z_]+)/([a-z_]+)\\.h$" AND CMAKE_MATCH_1 STREQUAL CMAKE_MATCH_2)
    list(APPEND trireme_public_headers ${header})
  endif()
endforeach()
list(FILTER trireme_public_headers EXCLUDE REGEX "${TRIREME_SOURCE_PARTS}")
list(SORT trireme_public_headers)
list(TRANSFORM trireme_public_headers REPLACE "(.+)" "#include \"trireme/\\1\"" OUTPUT_VARIABLE trireme_includes)
list(JOIN trireme_includes "\n" trireme_includes)
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/umbrella/trireme/trireme.h" CONTENT
"// Every public header of Trireme. Programs that care for compile time include what they use instead.
#pragma once

@trireme_includes@
" @ONLY)
