# sh test_subproject.sh SOURCE_DIR BUILD_DIR SCRATCH_DIR: a project that takes Reprise in configures, with settings of its
# own that stay as they were, no tests and no installation of ours. Nothing is compiled.
set -eu
source=$1 scratch=$3
rm -rf "$scratch"
mkdir -p "$scratch/app"
cat >"$scratch/app/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.18)
project(app VERSION 7.5 LANGUAGES C)
function(settings out)
  set(all "")
  get_directory_property(options COMPILE_OPTIONS)
  get_directory_property(links LINK_OPTIONS)
  foreach(name C_STANDARD C_EXTENSIONS C_FLAGS CXX_STANDARD BUILD_TYPE C_VISIBILITY_PRESET POSITION_INDEPENDENT_CODE UNITY_BUILD)
    list(APPEND all "\${name}=\${CMAKE_\${name}}")
  endforeach()
  set(\${out} "\${all} \${options} \${links} \${PROJECT_VERSION} \${CMAKE_PROJECT_NAME}" PARENT_SCOPE)
endfunction()
settings(before)
get_cmake_property(cache_before CACHE_VARIABLES)
add_subdirectory("$source" reprise)
settings(after)
if(NOT before STREQUAL after)
  message(FATAL_ERROR "settings changed from \${before} to \${after}")
endif()
get_cmake_property(cache CACHE_VARIABLES)
list(REMOVE_ITEM cache \${cache_before})
list(FILTER cache EXCLUDE REGEX "^(REPRISE_|reprise_|CMAKE_|glslang_|SPIRV|_*FIND_|FIND_PACKAGE_MESSAGE|Threads_|_)")
if(cache)
  message(FATAL_ERROR "variables that are not named after Reprise: \${cache}")
endif()
get_property(targets DIRECTORY "$source" PROPERTY BUILDSYSTEM_TARGETS)
list(FILTER targets EXCLUDE REGEX "^reprise")
if(targets)
  message(FATAL_ERROR "targets that are not named after Reprise: \${targets}")
endif()
add_executable(app "$source/tools/examples/classify.c")
target_link_libraries(app PRIVATE reprise::reprise)
install(TARGETS app)
END
cmake -S "$scratch/app" -B "$scratch/build" >"$scratch/configure.log" 2>&1 || { cat "$scratch/configure.log"; exit 1; }
[ ! -e "$scratch/build/reprise/tests" ] || [ ! -e "$scratch/build/reprise/tests/CTestTestfile.cmake" ] ||
    { echo "its tests are there"; exit 1; }
if grep -n "libreprise" "$scratch/build/reprise/cmake_install.cmake"; then
    echo "it would be installed with the project"
    exit 1
fi
