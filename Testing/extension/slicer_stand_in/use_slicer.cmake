set(EXTENSION_NAME ${PROJECT_NAME})
option(BUILD_TESTING "" ON)

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(GIVEN "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(GIVEN_UNPARSED_ARGUMENTS OR NOT DEFINED GIVEN_NAME)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule was given: ${ARGN}")
  endif()
  set(copies)
  foreach(file IN LISTS GIVEN_SCRIPTS GIVEN_RESOURCES)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "slicerMacroBuildScriptedModule given nonexistent file '${file}'")
    endif()
    set(copy "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/${file}")
    add_custom_command(
      OUTPUT "${copy}" DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${file}"
      COMMAND ${CMAKE_COMMAND} -E copy "${CMAKE_CURRENT_SOURCE_DIR}/${file}" "${copy}"
      )
    list(APPEND copies "${copy}")
  endforeach()
  add_custom_target(Copy${GIVEN_NAME} ALL DEPENDS ${copies})
  install(DIRECTORY "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/"
    DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}" COMPONENT RuntimeLibraries)
  file(APPEND "${CMAKE_BINARY_DIR}/told.txt" "module ${GIVEN_NAME} generic-tests:${GIVEN_WITH_GENERIC_TESTS}\n")
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(GIVEN "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${GIVEN_SCRIPT}")
    message(FATAL_ERROR "slicer_add_python_unittest given nonexistent script '${GIVEN_SCRIPT}'")
  endif()
  file(APPEND "${CMAKE_BINARY_DIR}/told.txt" "test ${GIVEN_SCRIPT}\n")
endmacro()
