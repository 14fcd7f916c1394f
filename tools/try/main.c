/* reprise-try: the library starts it, with what it wants to be tried. */
#include <reprise/device.h>

int main(int argc, char **argv) {
    return rp_try_main(argc, argv);
}
