# The way into a run's directory, and the proof that nobody else can write there. It is also sent
# with each request, and run before the program that lies on the target. Others can write in the
# directory above, so all is looked at from within: what is proven there, others cannot change any
# more.

# proven: do this directory, the one above it, and the program here belong to this user, and are
# they closed to others? A "+" is an access list, which may open them. One ls without names, since
# its order is by name.
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

# private DIRECTORY: does it belong to this user, and is it closed to others? If not, set $_why,
# unless it is not there.
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

# enter_run in DIRECTORY VERB SHELL NONCE RUN NAME=VALUE..., or
# enter_run below BASE VERB SHELL NONCE RUN NAME=VALUE...: enter the run's directory, and execute its program.
# DIRECTORY is what the start has told; BASE is what a start was given that has not answered.
enter_run() {
    _how=$1 _dir=$(printf %b "$2")
    _uid=$(id -u) _why=""
    shift 2
    if [ "$_how" = below ]; then
        cd -P -- "${_dir:-${TMPDIR:-/tmp}}" 2>/dev/null && _dir=${PWD%/}/pytest-bgcheck-$_uid/$4 || _dir=
    fi
    # The start has told it without links.
    if [ -n "$_dir" ] && cd -P -- "$_dir" 2>/dev/null && [ "$PWD" = "$_dir" ] && proven; then
        exec "$2" ./supervisor.sh "$@"
    fi
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
