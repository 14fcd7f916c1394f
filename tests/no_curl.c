/* A library with nothing of libcurl in it, for a test that gives it libcurl's names. */
int no_curl;
