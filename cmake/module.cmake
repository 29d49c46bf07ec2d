# One library per folder. A target sees only the headers of what it links: <build>/include/<name>/<name> is a
# link to the folder, so an undeclared #include does not compile.
function(assistiv_module name)
  cmake_parse_arguments(A "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/api/main\\.cpp$")
  # Headers to verify: that a header with a source stands alone is seen when the source, which includes it first,
  # compiles (tests/checks/style.py).
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.h)
  foreach(source IN LISTS sources)
    string(REGEX REPLACE "\\.cpp$" ".h" own ${source})
    list(REMOVE_ITEM headers ${own})
  endforeach()
  set(root ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${name} ${root}/${name} SYMBOLIC)
  list(TRANSFORM headers REPLACE "^${CMAKE_SOURCE_DIR}/" "${root}/")
  add_library(assistiv_${name} STATIC ${sources})
  add_library(assistiv::${name} ALIAS assistiv_${name})
  target_sources(assistiv_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${root} FILES ${headers})
  target_link_libraries(assistiv_${name} PUBLIC ${A_PUBLIC} PRIVATE ${A_PRIVATE})
  set_target_properties(assistiv_${name} PROPERTIES UNITY_BUILD_BATCH_SIZE 8)
  if(ASSISTIV_FUZZ)  # the product's branches guide the fuzzer, not those of tests
    target_compile_options(assistiv_${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# Files of a folder as a table in the binary: core::EmbeddedFile <module>::embedded_<folder>() (see core/embedded.h).
function(assistiv_embed module folder)
  get_filename_component(leaf ${folder} NAME)
  set(out ${CMAKE_BINARY_DIR}/generated/${module}/embedded_${leaf}.cpp)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/${ARGN})
  add_custom_command(OUTPUT ${out}
    COMMAND python3 ${CMAKE_SOURCE_DIR}/cmake/embed.py ${module} ${leaf} ${CMAKE_SOURCE_DIR}/${folder} ${out}
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed.py VERBATIM)
  target_sources(assistiv_${module} PRIVATE ${out})
  set_source_files_properties(${out} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
