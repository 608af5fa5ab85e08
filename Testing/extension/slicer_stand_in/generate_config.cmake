file(APPEND "${CMAKE_BINARY_DIR}/told.txt" "config ${EXTENSION_NAME}\n")
