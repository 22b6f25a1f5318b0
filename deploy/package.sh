#!/bin/bash
# Makes a Debian package of this checkout.
#
#   deploy/package.sh [--no-install] [FOLDER]
#
# Installs what is missing for that (Debian packages; --no-install: refuses
# instead), builds in build-package and writes FOLDER/softq_VERSION_ARCH.deb
# (FOLDER: build-package), whose path it prints. It fits the Debian that it is made
# on: libraries, MuJoCo among them, are that Debian's packages. VERSION is the
# project's and, of a clone, the commit's time. DEBFULLNAME and DEBEMAIL name its
# maintainer. `apt install FILE` installs it, `apt remove softq` leaves nothing.
#
# Exit status: 0; 2 refused, in one line.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

root=$(cd -- "$here/.." && pwd -P)
build_folder=$root/build-package install=() folder=''

for argument; do
    case $argument in
    --help | -h) help "$0" ;;
    --no[-_]install) install=(--no-install) ;;
    -*) refuse "what is $argument? deploy/package.sh [--no-install] [FOLDER]" ;;
    *) folder=$argument ;;
    esac
done
[[ -z ${MUJOCO-} ]] || refuse "a package needs Debian's libmujoco: unset MUJOCO"
"$here/install.sh" "${install[@]}" --package || exit 2

# As other packages are built, but for -O2: our loops want meson's -O3.
hardened() { # command...
    local flags
    flags=$(cd -- "$root" && DEB_BUILD_MAINT_OPTIONS=hardening=+all \
        DEB_CFLAGS_MAINT_STRIP='-O2 -g' dpkg-buildflags --export=sh) || return
    (eval "$flags" && "$@")
}

make_programs() {
    local log=$work/log
    # a folder that is there may be of other options
    hardened meson setup --prefix=/usr -Dcheckout=false -Dwerror=false \
        "$build_folder" "$root" >"$log" 2>&1 &&
        ninja -C "$build_folder" installed >>"$log" 2>&1 &&
        DESTDIR=$stage meson install -C "$build_folder" --no-rebuild --strip \
            >>"$log" 2>&1 && return
    tail -n 40 "$log" >&2
    refuse 'the build failed'
}

version_of() {
    local version time
    version=$("$stage/usr/bin/softq-learner" --version | awk '{ print $2; exit }')
    time=$(git -C "$root" log -1 --format=%cd --date=format:%Y%m%d.%H%M%S \
        2>/dev/null)
    echo "$version${time:++git$time}"
}

# What Debian wants beside the files.
make_documents() {
    local doc=$stage/usr/share/doc/softq
    mv -- "$doc/LICENSE" "$work/" # among Debian's common licenses
    cp -- "$here/packaging/copyright" "$doc/copyright"
    cat >"$doc/changelog" <<CHANGES
softq ($version) unstable; urgency=medium

  * Made from a checkout by deploy/package.sh.

 -- $maintainer  $(date -R -d "@$SOURCE_DATE_EPOCH")
CHANGES
    chmod 644 "$doc"/*
    gzip -9n "$doc/changelog" "$stage"/usr/share/man/man1/*.1
}

# The packages of the libraries that the programs are linked to.
libraries() {
    mkdir -p -- "$work/source/debian"
    printf 'Source: softq\n\nPackage: softq\nArchitecture: any\n' \
        >"$work/source/debian/control"
    (cd -- "$work/source" && dpkg-shlibdeps -O "$stage"/usr/bin/softq-* \
        2>"$work/log") | sed -n 's/^shlibs:Depends=//p'
}

make_control() {
    local depends
    depends=$(libraries)
    [[ -n $depends ]] || refuse "dpkg-shlibdeps: $(tail -n 1 "$work/log")"
    mkdir -p -- "$stage/DEBIAN"
    (cd -- "$stage" && find usr -type f -print0 | sort -z | xargs -0 md5sum) \
        >"$stage/DEBIAN/md5sums"
    # the learner's threads need that build of OpenBLAS
    cat >"$stage/DEBIAN/control" <<CONTROL
Package: softq
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: $maintainer
Installed-Size: $(du -k -s --apparent-size "$stage/usr" | cut -f 1)
Depends: $depends, libopenblas0-pthread, gnuplot-nox | gnuplot
Suggests: ffmpeg, libegl1, libegl-mesa0, libgl1-mesa-dri, openssh-client, bash-completion
Section: science
Priority: optional
Description: Soft Q-Learning as a distributed actor-learner system
 Trains policies that keep every good way of solving a task instead of one:
 actors step MuJoCo environments, a sharded replay server keeps what they saw,
 a learner fits an energy and a network that samples from it. Any of them can be
 killed at any moment. "softq local multigoal" shows it in two minutes.
CONTROL
}

work=$(mktemp -d) || exit 2
trap 'rm -rf -- "$work"' EXIT
stage=$work/softq
umask 022
mkdir -- "$stage" || exit 2
maintainer="${DEBFULLNAME:-softq} <${DEBEMAIL:-softq@$(hostname -f 2>/dev/null || echo localhost)}>"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct \
    2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
make_programs
version=$(version_of)
make_documents || exit 2
make_control
folder=${folder:-$build_folder}
mkdir -p -- "$folder" || exit 2
file=$folder/softq_${version}_$(dpkg --print-architecture).deb
dpkg-deb --root-owner-group --build "$stage" "$file" >"$work/log" 2>&1 ||
    refuse "dpkg-deb: $(tail -n 1 "$work/log")"
shown_path "$file"
