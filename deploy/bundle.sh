#!/bin/bash
# Puts the programs into one archive for hosts that have neither them nor their
# libraries.
#
#   deploy/bundle.sh [FILE.so ...]
#
# Makes bundle.tar in the build folder (~/.cache/softq where softq is installed)
# and prints its content's hash: bin/ (the programs),
# lib/ (every library that they or FILE.so need, but glibc's), models/, deploy/
# (supervise, keys.sh), needs (what a host must have, `name=value` a line). The
# programs find lib/ beside themselves; FILE.so stays where it is.
#
# Exit status: 0; 2 refused, in one line.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

case ${1-} in
--help | -h) help "$0" ;;
-*) refuse "what is $1? deploy/bundle.sh [FILE.so ...]" ;;
esac
[[ -x $build_folder/softq-learner ]] ||
    refuse "$build_folder/softq-learner is not built: ninja -C build"
programs=(softq-learner softq-replay softq-actor)

# The programs as `meson install` leaves them: they look for lib/ next to bin/.
copy_programs() {
    local p
    if [[ -n $installed ]]; then
        cp -- "${programs[@]/#/$build_folder/}" "$bundle/bin/" || exit 2
    else
        install_programs
        for p in "${programs[@]}"; do
            find "$work/tree" -type f -name "$p" -exec mv -- {} "$bundle/bin/" \;
            [[ -x $bundle/bin/$p ]] || refuse "meson install left no $p"
        done
    fi
    cp -r -- "$models_folder" "$bundle/models" &&
        cp -- "$here/supervise" "$here/keys.sh" "$here/common.sh" \
            "$bundle/deploy/" || exit 2
}

# What `ninja uninstall` goes by is the user's own installation.
install_programs() {
    local log=$build_folder/meson-logs/install-log.txt status=0 lock
    exec {lock}<"$build_folder"
    flock "$lock"
    [[ ! -e $log ]] || cp -- "$log" "$work/installed" || exit 2
    DESTDIR=$work/tree meson install -C "$build_folder" --tags runtime \
        --no-rebuild --quiet >"$work/log" 2>&1 || status=1
    rm -f -- "$log"
    [[ ! -e $work/installed ]] || mv -- "$work/installed" "$log" || exit 2
    exec {lock}<&-
    ((status == 0)) ||
        refuse "meson install failed: $(tail -n 1 "$work/log")"
}

# A host's glibc is its own, and so is its loader.
copy_libraries() { # file...
    local name arrow path rest
    while read -r name arrow path rest; do
        [[ $arrow == '=>' ]] || continue
        [[ $path == /* ]] || refuse "the library $name is missing on this machine:" \
            'install it, then build again'
        case $name in
        libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | \
            libresolv.so.* | libutil.so.* | libanl.so.* | libmvec.so.* | ld-*) ;;
        *) [[ -e $bundle/lib/$name ]] ||
            cp -L -- "$path" "$bundle/lib/$name" || exit 2 ;;
        esac
    done < <(ldd "$@" 2>/dev/null)
}

# Built for any CPU of the architecture, but MuJoCo's own releases want AVX.
flags() {
    ! grep -qs -e '-m\(arch\|cpu\)=native' "$build_folder/compile_commands.json" ||
        refuse "$build_folder is built for this CPU alone (-march=native): build" \
            'without, in another folder, named by SOFTQ_BUILD'
    case $(uname -m) in
    x86_64)
        if compgen -G "$bundle/lib/libmujoco.so.[3-9]*" >/dev/null; then
            echo 'sse2 avx'
        else
            echo sse2
        fi
        ;;
    aarch64) echo asimd ;;
    esac
}

# The newest symbols that anything in here asks of glibc.
glibc() {
    cat -- "$bundle"/bin/* "$bundle"/lib/* "$@" |
        grep -ao 'GLIBC_2\.[0-9]*' | sort -Vu | tail -n 1 | cut -d_ -f2
}

# Nothing that would go in is newer than the archive that is there?
is_made() { # FILE.so...
    local file
    [[ $* == "$(sed -n 2p "$bundle_folder/bundle.hash" 2>/dev/null)" ]] || return
    while read -r file; do
        [[ $bundle_folder/bundle.tar -nt $file ]] || return
    done < <(ldd "${programs[@]/#/$build_folder/}" "$@" 2>/dev/null |
        sed -n 's/^.*=> \(\/.*\) (0x.*$/\1/p'
        printf '%s\n' "${programs[@]/#/$build_folder/}" "$here/bundle.sh" \
            "$here/supervise" "$here/keys.sh" "$here/common.sh"
        find "$models_folder")
}

main() {
    local needed
    if is_made "$@"; then
        head -n 1 "$bundle_folder/bundle.hash"
        return
    fi
    mkdir -p -- "$bundle_folder" && rm -f -- "$bundle_folder/bundle.hash" || exit 2
    work=$(mktemp -d "$bundle_folder/bundle.XXXXXX") || exit 2
    trap 'rm -rf -- "$work"' EXIT
    bundle=$work/bundle
    mkdir -p -- "$bundle/bin" "$bundle/lib" "$bundle/deploy" || exit 2
    copy_programs
    copy_libraries "${programs[@]/#/$build_folder/}" "$@"
    needed=$(flags) || exit 2
    cat >"$bundle/needs" <<NEEDS
version=$("$build_folder/softq-learner" --version | awk '{ print $2; exit }')
arch=$(uname -m)
glibc=$(glibc "$@")
flags=$needed
NEEDS
    tar -C "$bundle" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
        -cf "$work/bundle.tar" . || exit 2
    cp -- "$bundle/needs" "$bundle_folder/bundle.needs" &&
        mv -f -- "$work/bundle.tar" "$bundle_folder/bundle.tar" || exit 2
    printf '%s\n%s\n' "$(sha256sum <"$bundle_folder/bundle.tar" | cut -c 1-16)" \
        "$*" >"$bundle_folder/bundle.hash"
    head -n 1 "$bundle_folder/bundle.hash"
}

main "$@"
