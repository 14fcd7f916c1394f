# cmake -DPAGE=page.html -DOUT=FILE -P page.cmake: a C file with the page, its etag, and the policy under which a browser
# shows it: the page's own script and style, known by their hashes, this server, and nothing else (page.h).
file(READ ${PAGE} text)
file(READ ${PAGE} bytes HEX)
string(REPEAT "." 40 row)
string(REGEX REPLACE "(${row})" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(SHA256 etag "${text}")
string(SUBSTRING ${etag} 0 16 etag)

# hash_of(TAG OUT): the SHA-256 of what stands between <TAG> and </TAG>, in base64, as a policy wants it.
set(digits "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
function(hash_of tag out)
  string(FIND "${text}" "<${tag}>" start)
  string(FIND "${text}" "</${tag}>" end)
  string(LENGTH "<${tag}>" size)
  math(EXPR start "${start} + ${size}")
  math(EXPR size "${end} - ${start}")
  if(end LESS start)
    message(FATAL_ERROR "${PAGE} has no <${tag}>")
  endif()
  string(SUBSTRING "${text}" ${start} ${size} content)
  string(SHA256 hex "${content}")
  set(base64 "")
  foreach(place RANGE 0 60 6) # three bytes are four digits; two are left, and get a third that is 0
    string(SUBSTRING "${hex}00" ${place} 6 three)
    foreach(shift 18 12 6 0)
      math(EXPR digit "(0x${three} >> ${shift}) & 63")
      string(SUBSTRING ${digits} ${digit} 1 digit)
      string(APPEND base64 ${digit})
    endforeach()
  endforeach()
  string(SUBSTRING ${base64} 0 43 base64)
  set(${out} ${base64}= PARENT_SCOPE)
endfunction()
hash_of(script script)
hash_of(style style)

file(WRITE ${OUT} "#include \"tools/serve/page.h\"

const char rp_page_etag[] = \"\\\"${etag}\\\"\";
const char rp_page_policy[] =
    \"default-src 'none'; script-src 'sha256-${script}'; style-src 'sha256-${style}'; \"
    \"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \"
    \"require-trusted-types-for 'script'; trusted-types 'none'\";
const unsigned char rp_page[] = {
${bytes}};
const size_t rp_page_size = sizeof rp_page;
")
