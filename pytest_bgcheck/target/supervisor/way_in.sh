# The way into a run's directory.

# Also sent with each request, and run before anything that lies on the target. The directories are in a
# place where others can write, so they are looked at from within: what is proven then cannot be
# changed by others any more, and what they can do outside does not matter.

# proven: are this directory, the run's, the one above it, the user's, and the program here the user's own,
# and closed to others? An access list (+) may open them. One ls, and no names: the order is by name.
proven() {
    # shellcheck disable=SC2012,SC2046 # fields
    set -- $(LC_ALL=C TIME_STYLE=long-iso ls -ldn . .. ./supervisor.sh 2>/dev/null)
    _fields=$(($# / 3))
    for _kind in d d -; do
        case ${1-} in "$_kind"???--[-S]--- | "$_kind"???--[-S]---[.@]) ;; *) return 1 ;; esac
        [ "$3" = "$_uid" ] || return 1
        shift "$_fields"
    done
}

# private DIRECTORY: is it ours, and closed to others? If not, set $_why, but for one that is not there.
private() {
    # shellcheck disable=SC2012,SC2046 # fields
    set -- "$1" $(LC_ALL=C TIME_STYLE=long-iso ls -ldn "$1" 2>/dev/null)
    case ${2-}${4+ $4} in
    "") ;;
    l*) _why="$1 is a link" ;;
    [!d]*) _why="$1 is not a directory" ;;
    d???--[-S]---" $_uid" | d???--[-S]---[.@]" $_uid") return 0 ;;
    *" $_uid") _why="$1 is open to others ($2): it must have the mode 0700, and no access list" ;;
    *) _why="$1 belongs to the user $4, not to $_uid" ;;
    esac
    return 1
}

# enter_run in DIRECTORY | below BASE, VERB SHELL NONCE RUN...: become the program of a run. DIRECTORY is what
# a start has told; BASE is what one was given that never answered.
enter_run() {
    _how=$1 _dir=$(printf %b "$2")
    _uid=$(id -u) _why=""
    shift 2
    if [ "$_how" = below ]; then
        cd -P -- "${_dir:-${TMPDIR:-/tmp}}" 2>/dev/null && _dir=${PWD%/}/pytest-bgcheck-$_uid/$4 || _dir=
    fi
    # It was told as it is without links.
    if [ -n "$_dir" ] && cd -P -- "$_dir" 2>/dev/null && [ "$PWD" = "$_dir" ] && proven; then exec "$2" ./supervisor.sh "$@"; fi
    if [ -n "$_dir" ] && private "${_dir%/*}" && private "$_dir" && [ -e "$_dir/supervisor.sh" ]; then
        _why="$_dir/supervisor.sh could have been written by others"
    fi
    _records=0
    echo
    echo "$3 begin none"
    if [ -n "$_why" ]; then
        _records=1
        echo "refused * $(printf "%s" "$_why" | LC_ALL=C tr -c " -~" " ")"
    fi
    echo "$3 end $_records"
}
