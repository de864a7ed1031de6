# The request that starts jobs. It makes the run's directory with this program in it, prepares each
# job in a directory of its own, and starts the job's supervisor.

# check_tools: refuse the request where a tool is missing that is needed until a job is cleaned up.
# (Without find only what other runs have left remains there.)
check_tools() {
    command -v base64 >/dev/null 2>&1 || set -- od
    [ -r /proc/uptime ] || set -- date "$@"
    for _word in "[" cat chmod echo env grep head id ls mkdir mkfifo mv rm rmdir sed sleep tail wc "$@"; do
        command -v "$_word" >/dev/null 2>&1 || { refuse "*" "the target has no $_word"; finish; }
    done
}

# enter_root: make or enter the user's directory, and in it the run's. Fails, with $_why, if one is
# not safely this user's. Tries again if another run of this user has ended meanwhile, and removed
# the directory.
enter_root() {
    _tries=0
    while _tries=$((_tries + 1)); [ "$_tries" -le 50 ]; do
        _why=""
        [ -d "$_root" ] || _why=$(LC_ALL=C mkdir -m 700 "$_root" 2>&1)
        if cd -P -- "$_root" 2>/dev/null && [ ! -h "$_root" ] && private .; then
            _why=$(LC_ALL=C mkdir "./$_run" 2>&1)
            [ ! -h "./$_run" ] || { _why="$_root/$_run is a link"; return 1; }
            cd -P "./$_run" 2>/dev/null && return 0
            # shellcheck disable=SC3013 # every shell has it
            [ ! "$_root" -ef . ] || return 1
        elif [ -e "$_root" ] || [ -h "$_root" ]; then
            private "$_root" || return 1
        fi
        # ksh93 believes that it is there already.
        cd /
    done
    _why=${_why:-"$_root is removed as soon as it is made"}
    return 1
}

# set_aside: put what the shells here would change or lose of the login's environment into variables
# that they leave alone, for the checks: PYTEST_BGCHECK_1=NAME=VALUE and so on. The head of the
# request has unset some of it for the processes here, so it is read from the kernel.
set_aside() {
    PYTEST_BGCHECK_ASIDE=0 PYTEST_BGCHECK_WITHOUT="" _seen="" _rest=""
    if [ -r "/proc/$$/environ" ]; then
        # A newline within a value becomes a character that is in no value.
        for _octal in 001 002 003 004 005 006 016 017 020 021 022 023; do
            _joint=$(printf %b "\\0$_octal")
            LC_ALL=C grep -qs "$_joint" "/proc/$$/environ" || break
        done
        _rest=$(tr "\000\n" "\n\\$_octal" <"/proc/$$/environ")$_newline
    fi
    while [ -n "$_rest" ]; do
        _word=${_rest%%"$_newline"*} _rest=${_rest#*"$_newline"}
        case ${_word%%=*} in
        "" | PYTEST_BGCHECK_*) continue ;;
        _ | SHLVL) _seen=$_seen. ;;
        # Names that are used here.
        _*) ;;
        # Names that no shell takes, as those of functions that bash has exported.
        [!A-Za-z_]* | *[!A-Za-z0-9_]*) ;;
        # What a shell sets itself.
        LOGNAME | OLDPWD | PWD | PS[1-4] | IFS | OPTIND | OPTARG | OPTERR | LINENO | RANDOM | SRANDOM | \
            SECONDS | PPID | UID | EUID | GID | EGID | USERNAME | GROUPS | HIST* | DIRSTACK | FUNCNAME | HOSTTYPE | \
            MACHTYPE | OSTYPE | EPOCH* | COMP_* | MAIL* | KSH* | ZSH* | YASH* | A__z) ;;
        # What means something to a shell or to a tool; those of the request's head are among them.
        SHELLOPTS | BASH* | *POSIX* | ENV | CDPATH | TMOUT | FUNCNEST | GLOBIGNORE | EXECIGNORE | GREP_* | \
            *BLOCK*SIZE | TIME_STYLE | QUOTING_STYLE | LS_COLORS | TABSIZE | COLUMNS | LINES) ;;
        *) continue ;;
        esac
        while case $_word in *"$_joint"*) ;; *) false ;; esac; do
            _word=${_word%%"$_joint"*}$_newline${_word#*"$_joint"}
        done
        PYTEST_BGCHECK_ASIDE=$((PYTEST_BGCHECK_ASIDE + 1))
        eval "PYTEST_BGCHECK_$PYTEST_BGCHECK_ASIDE=\$_word"
        export "PYTEST_BGCHECK_$PYTEST_BGCHECK_ASIDE"
    done
    # What some shells hand to each program though the login has none: env takes it away, where it
    # can.
    case $_seen${KSH_VERSION-} in
    ..) ;;
    *) ! env -u _ true 2>/dev/null || PYTEST_BGCHECK_WITHOUT="-u _ -u SHLVL -u _AST_FEATURES" ;;
    esac
    export PYTEST_BGCHECK_ASIDE PYTEST_BGCHECK_WITHOUT
}

# start: make the run's directory and start jobs. A job that is there already is not started again,
# so that a request can be repeated, even while it is under way: the files of each have $_own in
# their names.
start() {
    _home=${PWD-/} _own=$_nonce.$$
    set_aside
    reply
    check_tools
    find_user
    each_job : "$1"
    _root=$(printf %b "$_base")
    _root=${_root:-${TMPDIR:-/tmp}}
    case $_root in /*) ;; *) _root=$_home/$_root ;; esac
    _root=${_root%/}/pytest-bgcheck-$_uid
    enter_root || { refuse "*" "$_why"; finish; }
    if [ ! -f supervisor.sh ]; then
        _why=$({ printf "%s\n" "${_source-}" >"new.$_own"; } 2>&1)
        if ! is_of_size "new.$_own" "$((${#_source} + 1))"; then
            find_reason "new.$_own"
            rm -f "new.$_own"
            refuse "*" "cannot write to $_root/$_run: ${_why:-no space left on device?}"
            finish
        fi
        mv "new.$_own" supervisor.sh
    fi
    # It may have been written while the directory was still open to others.
    if ! proven; then
        _why="$PWD/supervisor.sh could have been written by others"
        private "$PWD"
        refuse "*" "$_why"
        finish
    fi
    printf "%s\n.\n" "$_home" 2>/dev/null >"home.$_own"
    read_home "home.$_own" || { refuse "*" "cannot write to $_root/$_run: no space left on device?"; finish; }
    record dir
    flush
    printf "%s" "$PWD" | $_encoder
    end_data
    find_guard_shell
    _made="" _pipes=up.$_own _files="" _started=""
    each_job list_job "$@"
    # For all jobs at once, since a fork for each takes time. What is missing then is seen with each
    # job.
    # shellcheck disable=SC2086 # words
    _why=$(LC_ALL=C mkdir $_made 2>&1; LC_ALL=C mkfifo $_pipes 2>&1)
    [ -p "up.$_own" ] || { refuse "*" "${_why%%"$_newline"*}"; finish; }
    each_job prepare_job "$@"
    # On a full disk some shells report no error, so the sizes of the files are compared.
    # shellcheck disable=SC2046,SC2086 # words
    keep_sizes $(wc -c supervisor.sh $_files 2>/dev/null)
    # Closed with the group, since after "exec 8>&-" mksh still has a copy.
    # shellcheck disable=SC2094
    {
        exec 7<"up.$_own"
        each_job run_job "$@"
    } 8<>"up.$_own"
    # Each guard says its job's id. The end of the file says that all have, or have died.
    _ready=" "
    while read -r _id <&7; do _ready="$_ready$_id "; done
    rm -f "up.$_own"
    for _word in $_started; do
        _id=${_word%%=*}
        case $_ready in *" $_id "*) record started "$_id" && continue ;; esac
        if [ -d "$_id" ]; then
            attach "$_id" "${_word##*=}"
        else
            refuse "$_id" "its supervisor did not start"
        fi
    done
    finish
}

# list_job: the first step: add the job's files to the lists of what is to be made.
list_job() {
    case .$_timeout_cs.$_grace_cs.$_output_limit.$_rc$_ready_timeout_cs.$_terms.$_script_size.$_spec_size. in
    *..*) lacks timeout_cs grace_cs output_limit rc terms script_size spec_size ;;
    esac
    _new=new.$_own.$_id
    [ ! -d "$_id" ] || return 0
    _made="$_made $_new" _pipes="$_pipes $_new/alive" _files="$_files $_new/spec"
    [ "$_script_size" = 0 ] || _files="$_files $_new/script"
    if [ -n "$_every_cs" ]; then
        [ -n "$_sample_timeout_cs" ] || lacks sample_timeout_cs
        _pipes="$_pipes $_new/ask"
    fi
    [ -n "$_ready_timeout_cs" ] || return 0
    [ -n "$_look_size" ] || lacks ready_size
    _files="$_files $_new/look"
}

# put_file DATA: write the file $_file. If it cannot be written, the sizes will tell.
put_file() {
    [ -n "$_file" ] || lacks file
    { printf %b "$1" >"put.$_own" && mv "put.$_own" "$_file"; } 2>/dev/null
}

# prepare_job: the second step: write the job's files.
prepare_job() {
    _new=new.$_own.$_id
    [ -p "$_new/alive" ] || return 0
    {
        mark_of "$_id"
        printf "%s" "$_mark" >"$_new/out"
        printf "%s" "$_mark" >"$_new/err"
        printf "" >"$_new/terms.$_terms"
        if [ -n "$_spec" ]; then
            printf %b "$_spec" >"$_new/spec"
        else
            cat "spec-$_id.$_terms".* >"$_new/spec"
        fi
        if [ "$_script_size" != 0 ]; then
            cat "script-$_id.$_terms".* >"$_new/script" && chmod 700 "$_new/script"
        fi
        [ -z "$_ready_timeout_cs" ] || prepare_service
        [ -z "$_every_cs" ] || prepare_probe
    } 2>/dev/null
}

# prepare_service: write what a service has beside: see ready.sh.
prepare_service() {
    case $_look_size:$_look in
    0:*) printf "" >"$_new/look" ;;
    *:) cat "look-$_id.$_terms".* >"$_new/look" ;;
    *) printf %b "$_look" >"$_new/look" ;;
    esac
    [ -z "$_pattern" ] || printf "%b\n" "$_pattern" >"$_new/pattern"
    printf "" >"$_new/unready.0.$_ready_timeout_cs.$_mask.$_own"
}

# prepare_probe: write what a probe has beside: see probe.sh. What is written in place has its room.
prepare_probe() {
    printf "" >"$_new/probe.$_every_cs.$_sample_timeout_cs"
    printf "" >"$_new/first"
    printf "" >"$_new/pid.0.1.0"
    printf "%-80s\n" "0 0 0" >"$_new/sample"
    printf "%s\n. 0 0\n%-1000s\n" "0 0 0 0 0 0 0 0 0" "" >"$_new/counts"
}

# probe_is_whole: are its files there? True of another job, which has none.
probe_is_whole() {
    [ -n "$_every_cs" ] || return 0
    [ -p "$_new/ask" ] && [ -s "$_new/sample" ] && [ -s "$_new/counts" ] && [ -e "$_new/first" ] &&
        [ -e "$_new/pid.0.1.0" ] && [ -e "$_new/probe.$_every_cs.$_sample_timeout_cs" ]
}

# service_is_whole: are its files there? True of a check, which has none.
service_is_whole() {
    [ -n "$_ready_timeout_cs" ] || return 0
    has_size "$_look_size" look && [ -e "$_new/look" ] && { [ -z "$_pattern" ] || [ -s "$_new/pattern" ]; } &&
        [ -e "$_new/unready.0.$_ready_timeout_cs.$_mask.$_own" ]
}

# pattern_is_good: does grep take it? If not, set $_why.
pattern_is_good() {
    [ -n "$_pattern" ] || return 0
    _why=$(printf %b "$_pattern")
    # With a line to search: without one busybox does not look at the expression.
    _why=$(echo | LC_ALL=C grep -E -e "$_why" 2>&1)
    [ $? -le 1 ]
}

# run_job: the third step: start the job's supervisor, or attach to the job that is there.
run_job() {
    _new=new.$_own.$_id
    case " $_made " in *" $_new "*) ;; *) attach "$_id" "$_terms"; return ;; esac
    if ! { [ -s "$_new/out" ] && [ -s "$_new/err" ] && [ -e "$_new/terms.$_terms" ] &&
        has_size "$_spec_size" spec && has_size "$_script_size" script && service_is_whole &&
        probe_is_whole; }; then
        _why=${_why%%"$_newline"*}
        [ ! -p "$_new/alive" ] || find_reason "$_new/spec"
        rm -rf "./$_new"
        refuse "$_id" "cannot write to $PWD: ${_why:-no space left on device?}"
        return
    fi
    if ! pattern_is_good; then
        rm -rf "./$_new"
        refuse "$_id" "grep does not take its pattern: ${_why%%"$_newline"*}"
        return
    fi
    _started="$_started $_id=$_terms"
    set -- "$_sh" ./supervisor.sh run "$_sh" "$_id" "run:$_id" "$_new" "$_timeout_cs" "$_grace_cs" \
        "$_retry_every_s" "$_rc" "$_own" "$_guard_shell" "$_mask" "$_output_limit"
    # The first setsid makes the second one a session leader, which therefore forks and returns at
    # once. So there is a daemon without an "&", after which SIGINT and SIGQUIT would be ignored in
    # the check.
    if [ -n "$_setsid" ]; then
        (exec setsid setsid "$@" </dev/null >/dev/null 2>&1 8>&8 7<&-)
    else
        (trap "" HUP; exec "$@" </dev/null >/dev/null 2>&1 8>&8 7<&-) &
    fi
}

# keep_sizes SIZE FILE...: set $_sizes to what wc has said.
keep_sizes() { _sizes=" $* "; }

# has_size SIZE FILE: has this file of the job this size? 0 stands for no file at all.
has_size() {
    [ "$1" != 0 ] || return 0
    case $_sizes in *" $1 $_new/$2 "*) return 0 ;; esac
    return 1
}

# find_reason FILE: set $_why to why it cannot be written, as cat says it, which says more than some
# shells.
find_reason() {
    _said=$({ echo | LC_ALL=C cat >>"$1"; } 2>&1)
    _why=${_said:-$_why}
}

# is_of_size FILE SIZE: is it that size?
is_of_size() { [ "$(($(wc -c <"$1")))" = "$2" ]; }

# attach ID TERMS: record a job that is there already, unless its terms are others. If it has just
# been removed, the request that waits for it sees that.
attach() {
    if [ -d "$1" ] && [ ! -e "$1/terms.$2" ]; then refuse "$1" terms; else record attached "$1"; fi
}
