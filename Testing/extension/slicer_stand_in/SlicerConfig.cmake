# Stands in for a Slicer build: what `find_package(Slicer)` gives an extension of scripted modules, and nothing more.
# Where files go is what SlicerMacroBuildScriptedModule and ctkMacroCompilePythonScript do: a module's files are copied
# into one folder of the build, by their paths in the module, and that folder is installed as a whole.

set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/use_slicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/generate_config.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/tell_metadata.cmake")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.10/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "./${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
set(Slicer_INSTALL_THIRDPARTY_SHARE_DIR "./share/Slicer-5.10")
set(Slicer_FOUND TRUE)
