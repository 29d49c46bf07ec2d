# Warnings are errors; hardening is on everywhere; sanitizers come from the presets.
add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wimplicit-fallthrough -Werror -fno-omit-frame-pointer)
add_compile_definitions(
  BOOST_ASIO_HAS_CO_AWAIT BOOST_ASIO_HAS_STD_COROUTINE  # Boost 1.74 does not know that clang 16 has them
  BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_DISABLE_CONCEPTS
  _TURN_OFF_PLATFORM_STRING)  # cpprestsdk's macro U breaks Boost and GoogleTest headers
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
add_link_options(-fuse-ld=lld)

set(ASSISTIV_SANITIZE "" CACHE STRING "Sanitizers to build with, as for -fsanitize=")
if(ASSISTIV_SANITIZE)
  add_compile_options(-fsanitize=${ASSISTIV_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ASSISTIV_SANITIZE})
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=time_macros CCACHE_DEPEND=1 ${CCACHE})
endif()
