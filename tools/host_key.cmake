# cmake -DOUT=FILE -DFILES=LIST -P host_key.cmake: a C file with a key of what is in these files. What was learnt of kernels with
# other code than this is not believed (runtime/gpu/device.h).
set(all "")
foreach(file ${FILES})
  file(SHA256 ${file} hash)
  string(APPEND all ${hash})
endforeach()
string(MD5 key "${all}")
file(WRITE ${OUT} "extern const char rp_host_key[33];\nconst char rp_host_key[33] = \"${key}\";\n")
