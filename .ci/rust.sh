# Sourced: finds a cargo that is new enough for this package.
#
# The first of these whose compiler is at least `rust-version` of Cargo.toml: what PATH says,
# rustup's in the home directory, the distribution's. Sets CARGO_FOUND, or leaves it empty.

rust_wanted() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }

rust_find() {
    CARGO_FOUND=
    wanted=$(rust_wanted)
    for candidate in cargo "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" /usr/bin/cargo; do
        candidate=$(command -v "$candidate") || continue
        have=$("${candidate%cargo}rustc" --version 2>/dev/null | cut -d' ' -f2) || continue
        [ -n "$have" ] || continue
        if [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]; then
            CARGO_FOUND=$candidate
            return 0
        fi
    done
    return 1
}
