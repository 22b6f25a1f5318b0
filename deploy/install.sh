#!/bin/bash
# Installs what the project needs from Debian, and only what is missing.
#
#   deploy/install.sh [--no-install] [--video] [--package] [--tests] [--slow]
#
# Where softq is installed that is what its scripts use, no compiler or library.
# --video adds what pictures and videos of episodes need, about 375 MB of disk,
# --package what deploy/package.sh needs, --tests both and what the test suite
# alone uses, --slow what `tests/run.sh --all` adds to that. With --no-install
# nothing is installed: missing packages are named and the exit status is 2.
# Libraries elsewhere count as present where pkg-config finds them
# (PKG_CONFIG_PATH), a MuJoCo tree where $MUJOCO names it.
# Exit status: 0 all is present, 2 not.
set -eu

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

# what shows that a package's part is there: a command, a pkg-config name or
# (with a slash) a file's pattern
needed() {
    if [ -z "$installed" ]; then
        cat <<'LIST'
gcc                     gcc
libc6-dev               /usr/include/stdio.h
pkg-config              pkg-config
meson                   meson
ninja-build             ninja
libzmq3-dev             pc:libzmq
libprotobuf-c-dev       pc:libprotobuf-c
protobuf-c-compiler     protoc-c
libopenblas-pthread-dev pc:openblas
libmujoco-dev           mujoco
libuv1-dev              pc:libuv
libinih-dev             pc:inih
libcjson-dev            pc:libcjson
zlib1g-dev              pc:zlib
libmicrohttpd-dev       pc:libmicrohttpd
libcmocka-dev           pc:cmocka
LIST
    fi
    echo gnuplot-nox gnuplot
    if [ "$deb" = yes ]; then
        cat <<'LIST'
dpkg-dev dpkg-shlibdeps
binutils strip
LIST
    fi
    if [ "$video" = yes ]; then
        cat <<'LIST'
ffmpeg          ffmpeg
libegl1         /usr/lib/*/libEGL.so.1
libegl-mesa0    /usr/lib/*/libEGL_mesa.so.0
libgl1-mesa-dri /usr/lib/*/dri/swrast_dri.so
LIST
    fi
    if [ "$tests" = yes ]; then
        cat <<'LIST'
shellcheck        shellcheck
clang             clang
libclang-rt-14-dev /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a
protobuf-compiler protoc
python3-numpy     /usr/lib/python3/dist-packages/numpy/__init__.py
python3-protobuf  /usr/lib/python3/dist-packages/google/protobuf/__init__.py
python3-zmq       /usr/lib/python3/dist-packages/zmq/__init__.py
iproute2   ip
nftables   nft
openssh-server sshd
openssh-client ssh-keygen
LIST
    fi
    if [ "$slow" = yes ]; then
        cat <<'LIST'
valgrind    valgrind
debootstrap debootstrap
python3-pip pip3
python3-venv /usr/lib/python3*/ensurepip/__init__.py
chromium    chromium
prometheus  promtool
curl        curl
slurm-wlm   slurmctld
systemd     /lib/systemd/systemd
munge       munged
lintian     lintian
LIST
    fi
}

present() { # package, probe
    case $2 in
    pc:*) pkg-config --exists "${2#pc:}" 2>/dev/null ;;
    mujoco)
        [ -e "${MUJOCO:-}/include/mujoco/mujoco.h" ] ||
            [ -e /usr/include/mujoco/mujoco.h ] ||
            [ -e /usr/local/include/mujoco/mujoco.h ]
        ;;
    /*) compgen -G "$2" >/dev/null ;;
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$2" >/dev/null ;;
    esac
}

find_missing() {
    local package probe
    missing=()
    while read -r package probe; do
        present "$package" "$probe" || missing+=("$package")
    done < <(needed)
}

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2
}

install=yes video=no deb=no tests=no slow=no
for argument; do
    case $argument in
    --help | -h) help "$0" ;;
    --no-install) install=no ;;
    --video) video=yes ;;
    --package) deb=yes ;;
    --tests) video=yes deb=yes tests=yes ;;
    --slow) video=yes deb=yes tests=yes slow=yes ;;
    *)
        refuse "unknown argument '$argument': --no-install, --video," \
            "--package, --tests or --slow"
        ;;
    esac
done

find_missing
((${#missing[@]})) || exit 0
if [ "$install" = no ]; then
    refuse "missing: ${missing[*]} (install them, or leave out --no-install)"
fi
if ! command -v apt-get >/dev/null; then
    refuse "missing: ${missing[*]}, and this is not Debian: install them by hand"
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        refuse "missing, as root: apt-get install ${missing[*]}"
    as_root=(sudo)
    say "asking for sudo, to install packages"
fi
say "installing ${missing[*]}"

# package lists may be missing or old: ask for new ones only then
"${as_root[@]}" apt-get -qq -s install --no-install-recommends \
    "${missing[@]}" >/dev/null 2>&1 </dev/null || apt update ||
    refuse "apt-get update failed: is there a network?"
apt install -y --no-install-recommends "${missing[@]}" ||
    { apt update && apt install -y --no-install-recommends "${missing[@]}"; } ||
    refuse "apt-get could not install: ${missing[*]}"

find_missing
((${#missing[@]} == 0)) || refuse "installed, but not found: ${missing[*]}"
