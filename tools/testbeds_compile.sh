# Sourced by tools/testbeds: shader compilers of GPU drivers, which run on Mesa's stand-ins for the kernel's side. They
# allocate and "submit", but compute nothing, so tests/compile_kernels.c only makes pipelines.

# What a driver calls the memory that stands in for registers, when it is not 0.
spilled='(Spill|Fill|Scratch|STP Count|LDP Count|SLM size)[^,]* [1-9]'

describe_compiler() {
    local shim driver setting root=$cache/trixie
    case $1 in
    radv-*) shim=amdgpu driver=radeon_icd setting=AMDGPU_GPU_ID=${1#radv-} ;;
    nvk-turing) shim=nouveau driver=nouveau_icd setting=NOUVEAU_CHIPSET=162 ;;
    nvk-ampere) shim=nouveau driver=nouveau_icd setting=NOUVEAU_CHIPSET=172 ;;
    turnip-a*) shim=freedreno driver=freedreno_icd setting=FD_GPU_ID=${1#turnip-a} ;;
    honeykrisp) shim=asahi driver=asahi_icd setting=ASAHI=1 ;;
    panvk-g610) setting=PAN_GPU_ID=a867 ;;
    powervr-*) setting=PVR_I_WANT_A_BROKEN_VULKAN_DRIVER=1 ;;
    anv-*) shim=$REPRISE_INTEL_SHIM driver=intel_icd setting=INTEL_STUB_GPU_PLATFORM=${1#anv-} ;;
    esac
    programs=(compile_kernels)
    # no validation: no layer knows what these devices are
    environment=("$setting" REPRISE_CACHE_DIR= "TMPDIR=$work/$1/tmp" MESA_SHADER_CACHE_DISABLE=true)
    case $1 in
    panvk-*)
        environment+=(PAN_I_WANT_A_BROKEN_VULKAN_DRIVER=1)
        aarch64_runs panfrost_icd libpanfrost_noop_drm_shim.so
        return
        ;;
    powervr-*)
        aarch64_runs powervr_mesa_icd libpowervr_noop_drm_shim.so
        return
        ;;
    esac
    debian_13_runs "$root" "$(icd_file "$root" x86_64-linux-gnu $driver)"
    [ -e "$shim" ] || shim=$root/usr/lib/x86_64-linux-gnu/lib${shim}_noop_drm_shim.so
    runner+=(--preload "$shim")
}

# write_compilers BED...: a line for each compiler and kernel, over all shapes and precisions, in $work/compilers.md.
write_compilers() {
    local bed log
    {
        echo "| compiler | kernel | pipelines | registers | occupancy | instructions | pipelines that spill |"
        echo "|---|---|---|---|---|---|---|"
        for bed; do
            log=$work/$bed/compile_kernels.log
            [ ! -e "$log" ] || awk -F'\t' -v bed="$bed" -v spilled="$spilled" '
                function value(name,    at, text) {
                    at = index(", " $6, ", " name " ")
                    if (!at) return ""
                    text = substr($6, at + length(name) + 1)
                    sub(/,.*/, "", text)
                    return text + 0
                }
                function any(names,    list, n, i) {
                    n = split(names, list, "|")
                    for (i = 1; i <= n; i++)
                        if (value(list[i]) != "") return value(list[i])
                    return ""
                }
                function range(low, high) { return low == high ? low : low " to " high }
                NF == 6 {
                    kernel = $2
                    if (!(kernel in count)) order[++kinds] = kernel
                    registers = any("VGPRs|Number of GPRs|GPRs|Registers used|Max live registers|Temp count")
                    waves = any("Subgroups per SIMD|Max warps/SM|Threads|Max Waves Per Core|Max dispatch width")
                    length_ = any("Instruction Count|Instruction count|Instructions|Inst group count")
                    if (!count[kernel]++) {
                        r0[kernel] = r1[kernel] = registers; w0[kernel] = w1[kernel] = waves
                        i0[kernel] = i1[kernel] = length_
                    }
                    if (registers < r0[kernel]) r0[kernel] = registers
                    if (registers > r1[kernel]) r1[kernel] = registers
                    if (waves < w0[kernel]) w0[kernel] = waves
                    if (waves > w1[kernel]) w1[kernel] = waves
                    if (length_ < i0[kernel]) i0[kernel] = length_
                    if (length_ > i1[kernel]) i1[kernel] = length_
                    if ($6 ~ spilled || $6 ~ /^FAILED/) bad[kernel]++
                }
                END {
                    for (k = 1; k <= kinds; k++) {
                        n = order[k]
                        print "| " bed " | `" n "` | " count[n] " | " range(r0[n], r1[n]) " | " range(w0[n], w1[n]) \
                            " | " range(i0[n], i1[n]) " | " bad[n] + 0 " |"
                    }
                }' "$log"
        done
    } >"$work/compilers.md"
}
