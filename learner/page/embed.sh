#!/bin/sh
# Files as C arrays: embed.sh page.html page.js page.css > page_files.c
set -eu
echo '#include "learner/page_files.h"'
for file; do
    name=$(basename "$file" | tr . _)
    echo "static const unsigned char ${name}_bytes[] = {"
    od -An -v -tu1 "$file" | sed 's/  *\([0-9]\)/\1/;s/  */,/g;s/$/,/'
    echo "};"
    echo "const struct page_file $name = {${name}_bytes, sizeof(${name}_bytes)};"
done
