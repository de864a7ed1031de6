# Which processes there are, which of them are a check's, and how to end them. For guards, and for
# the requests that wait, end and clean.

# looks_after PID JOB [WORD]: is this the supervisor or the guard of the job in the directory JOB?
# Anybody's process can have any id and any arguments, but only a process of this user can be in
# that directory. WORD tells the two apart: after a restart of a container a new guard may have the
# id that the supervisor had. Where the directories of processes cannot be seen (no /proc), ps looks
# for WORD, and without a WORD the id alone has to do. Where ps sees nothing either (a chroot), a
# process that exists counts.
looks_after() {
    if sees_directories; then
        # shellcheck disable=SC3013,SC3067 # every shell has it
        [ -O "/proc/$1" ] && [ "/proc/$1/cwd" -ef "$2" ] &&
            { [ -z "${3-}" ] || grep -qs "$3" "/proc/$1/cmdline"; }
        return
    fi
    exists "$1" || return 1
    [ -n "${3-}" ] || return 0
    find_user
    # shellcheck disable=SC2046 # words
    set -- "$3" $(ps -o uid= -o args= -p "$1" 2>/dev/null)
    [ -n "${2-}" ] || return 0
    case "$*" in "$1 $_uid "*" $1 "*) ;; *) return 1 ;; esac
}

# find_live: set $_live to the processes of the run in this directory that look after jobs, or start
# some. The requests that wait are not among them, nor a user who looks at a job's files.
find_live() {
    _live=""
    if sees_directories; then
        for _entry in /proc/[0-9]*; do
            # shellcheck disable=SC3013,SC3067 # every shell has it
            if [ -O "$_entry" ] && [ "$_entry/cwd/.." -ef . ] &&
                grep -qs "supervisor[.]sh" "$_entry/cmdline"; then
                _live="$_live ${_entry#/proc/}"
            fi
        done
    else
        find_user
        _live=$(ps -A -o pid= -o uid= -o args= 2>/dev/null)
        [ -n "$_live" ] || _blind=yes
        _live=$(printf "%s\n" "$_live" |
            LC_ALL=C sed -n "s/^ *\([0-9]*\)  *$_uid .*supervisor[.]sh .* [a-z]*:$_run-.*/\1/p")
    fi
    for _word in up.*; do
        ! looks_after "${_word##*.}" . || _live="$_live ${_word##*.}"
    done
}

# sees_directories: can it be seen in which directory a process is?
sees_directories() {
    # shellcheck disable=SC3013 # every shell has it
    [ -n "${_sees_cwd-}" ] || { _sees_cwd=no; [ ! /proc/self/cwd -ef . ] || _sees_cwd=yes; }
    [ "$_sees_cwd" = yes ]
}

# sees_others: can the processes of other users be seen here? Not where /proc hides them (hidepid), or is
# not there. A check that has become another user's, as by sudo, may then live unseen.
sees_others() { [ -r /proc/1/stat ]; }

# find_user: set $_uid to the id of the user that this is.
find_user() { _uid=${_uid:-$(id -u)}; }

# exists PID: is there such a process? By builtins alone. One that has ended and is not yet reaped
# does not count.
exists() {
    [ -n "${_sees-}" ] || { _sees=no; [ ! -e "/proc/$$/exe" ] || _sees=yes; }
    case $_sees in
    yes) [ -e "/proc/$1/exe" ] ;;
    *) kill -0 "$1" 2>/dev/null ;;
    esac
}

# read_processes: set $_table to a word PID:PARENT:GROUP:SESSION:BORN for each living process. PID
# is taken from the file's name, which grep puts ahead of each line: a process can have newlines,
# parentheses and digits in its name, but a name has 15 bytes, which are too few to look like a
# whole line. (sed alone would stop at a process that has gone since its file was opened, and hide
# all that come behind it.)
read_processes() {
    if [ -r /proc/self/stat ]; then
        _table=$(LC_ALL=C grep -s "" /dev/null /proc/[0-9]*/stat |
            LC_ALL=C sed -n "s/^.proc.\([0-9]*\).stat:.*) [^XZ] \([0-9]*\) \([0-9]*\) \([0-9]*\)\( [-0-9]*\)\{15\} \([0-9]*\) .*/\1:\2:\3:\4:\6/p")
    else
        _table=$(ps -A -o pid= -o ppid= -o pgid= 2>/dev/null | while read -r _pid _parent _group; do
            echo "$_pid:$_parent:$_group:$_group:0"
        done)
    fi
}

# read_row WORD: set $_pid, $_parent, $_group, $_session and $_born from a word of the table.
read_row() {
    IFS=:
    # shellcheck disable=SC2086 # to be split
    set -- $1
    unset IFS
    _pid=$1 _parent=$2 _group=$3 _session=$4 _born=$5
}

# find_marked TEXT: set $_marked to the processes whose environment holds it.
find_marked() {
    _marked=" "
    [ -r /proc/self/environ ] || return 0
    # shellcheck disable=SC2013 # names of /proc have no spaces
    for _entry in $(grep -ls "PYTEST_BGCHECK_JOB=$1" /proc/[0-9]*/environ); do
        _entry=${_entry%/environ}
        _marked="$_marked${_entry#/proc/} "
    done
}

# find_tree: set $_tree to the processes of the check in whose job's directory this is: those with
# its id in their environment, those in its group or session, its descendants, and those that write
# to its output. $_known remembers them: one that has lost its parent meanwhile is still the
# check's. $_proven is the leader as long as its number cannot be another's: a daemon may outlive it
# by hours.
find_tree() {
    find_marked "$_id"
    read_processes
    _tree=" " _proven=none
    find_leader
    for _word in $_table; do
        case $_word in
        "$_leader":*":$_leader_born") _proven=$_leader ;;
        *:"$_leader":*)
            # As long as a group or a session has a member, no other gets its number.
            case $_marked in *" ${_word%%:*} "*) _proven=$_leader ;; esac
            case " $_known " in *" ${_word%%:*}:${_word##*:} "*) _proven=$_leader ;; esac ;;
        esac
    done
    for _word in $_table; do
        read_row "$_word"
        case " $_known " in *" $_pid:$_born "*) _tree="$_tree$_pid " && continue ;; esac
        case $_marked in *" $_pid "*) _tree="$_tree$_pid " && continue ;; esac
        case $_proven in "$_group" | "$_session") _tree="$_tree$_pid " && continue ;; esac
        # shellcheck disable=SC3013 # every shell has it
        if [ "/proc/$_pid/fd/1" -ef out ] || [ "/proc/$_pid/fd/2" -ef err ]; then _tree="$_tree$_pid "; fi
    done
    # The descendants of the check's own process, not of each process in its tree: a service that
    # the check has restarted may be the parent of everybody's sessions.
    _kin=" $_proven " _grown=yes
    while [ -n "$_grown" ]; do
        _grown=
        for _word in $_table; do
            read_row "$_word"
            case $_kin in
            *" $_pid "*) continue ;;
            *" $_parent "*) _kin="$_kin$_pid " _grown=yes ;;
            *) continue ;;
            esac
            case $_tree in *" $_pid "*) ;; *) _tree="$_tree$_pid " ;; esac
        done
    done
    _known=
    for _word in $_table; do
        case $_tree in *" ${_word%%:*} "*) _known="$_known ${_word%%:*}:${_word##*:}" ;; esac
    done
    _tree=${_tree# }
}

# find_own: set $_own to a word PID:BORN for each process of the service in whose job's directory this
# is, without those of its ready command and the sleep of its supervisor: see ready.sh.
find_own() {
    find_tree
    find_marked "${_id}[.]"
    _own=""
    for _word in $_known; do
        case $_marked in *" ${_word%:*} "*) ;; *) _own="$_own $_word" ;; esac
    done
}

# find_leader: set $_leader, $_leader_born, $_attempt and $_last (the exit code of the attempt
# before) from the name of the file pid.LEADER.ATTEMPT.BORN[.LAST], which is there from the start of
# the first attempt on.
find_leader() {
    for _file in pid.*; do
        case $_file in pid.*[!0123456789.]*) continue ;; esac
        IFS=.
        # shellcheck disable=SC2086 # to be split; it has no globs
        set -- $_file
        unset IFS
        { number "${2-}" && number "${3-}" && [ -n "${4-}" ]; } || continue
        _attempt=$3 _last=
        ! number "${5-}" || _last=$5
        [ "$2" -gt 1 ] || continue
        _leader=$2 _leader_born=$4
    done
    [ -z "${_sample_limit-}" ] || find_sample
}

# find_probe: set $_every and $_sample_limit, in centiseconds, to what the name of the file
# probe.EVERY.LIMIT says; empty if this job is no probe.
find_probe() {
    _every="" _sample_limit=""
    for _file in probe.*; do
        case $_file in *[!0123456789a-z.]*) continue ;; esac
        IFS=.
        # shellcheck disable=SC2086 # to be split; it has no globs
        set -- $_file
        unset IFS
        if [ "$#" = 3 ] && number "$2" && number "$3"; then _every=$2 _sample_limit=$3; fi
    done
}

# find_sample: set $_leader and $_leader_born to the sample of a probe that runs, "none" if none does,
# and $_sample_start to when it, or the last one, began, from the file `sample`; $_line is its line.
find_sample() {
    _leader=none _leader_born=0 _sample_start="" _line=""
    { [ ! -f sample ] || read -r _line <sample; } 2>/dev/null
    case $_line in *[!0123456789\ ]*) return 0 ;; esac
    # shellcheck disable=SC2086 # words
    set -- $_line
    { [ "$#" = 3 ] && number "$1" && number "$3"; } || return 0
    _sample_start=$3
    [ "$1" -le 1 ] || _leader=$1 _leader_born=$2
}

# signal NAME: send a signal to all processes of the check. After any but KILL, stopped ones are
# continued, so that they get it.
signal() {
    find_tree
    send "$1"
}

# send NAME: send a signal to the processes that find_tree has found.
send() {
    for _pid in $_tree; do kill "-$1" "$_pid" 2>/dev/null; done
    if [ -z "$_table" ] && [ "$_leader" != none ]; then
        # No process can be seen here.
        kill "-$1" "-$_leader" 2>/dev/null || kill "-$1" "$_leader" 2>/dev/null
    fi
    if [ "$1" != KILL ]; then
        for _pid in $_tree; do kill -CONT "$_pid" 2>/dev/null; done
    fi
}

# kill_all [ROUNDS]: kill the check's processes until none is left, or the rest cannot be killed.
kill_all() {
    _rounds=0
    while signal KILL; [ -n "$_tree" ] && [ "$_rounds" -lt "${1:-20}" ]; do
        _rounds=$((_rounds + 1))
        nap
    done
}

# find_suspects: set $_suspects to the processes that may be the check's and are not proven to be:
# orphans of this user and this control group, younger than the check, with an environment that was
# emptied. Of more than 20 the rest is a 0, since a file's name has 255 bytes.
find_suspects() {
    _suspects=
    # What a sample of a probe has left may be older than the next one, but not than the prober.
    [ -n "${_sample_limit-}" ] || _oldest=$_leader_born
    [ "$_oldest" != 0 ] && read -r _control 2>/dev/null </proc/self/cgroup || return 0
    read_processes
    for _word in $_table; do
        read_row "$_word"
        # shellcheck disable=SC3067 # every shell has it
        if [ "$_parent" = 1 ] && [ "$_born" -ge "$_oldest" ] && [ -O "/proc/$_pid" ]; then
            read -r _other 2>/dev/null <"/proc/$_pid/cgroup" || continue
            [ "$_other" != "$_control" ] || _suspects="$_suspects $_pid"
        fi
    done
    # shellcheck disable=SC2086 # words
    set -- $_suspects
    _suspects="" _named=0
    for _pid in "$@"; do
        _of=/proc/$_pid/environ
        grep -qs -e PYTEST_BGCHECK_ -e PATH= -e HOME= "$_of" && continue
        # A daemon that writes its title over its environment is no suspect, unless $_seeks_daemon.
        [ -z "${_seeks_daemon-}" ] && grep -qs "" "$_of" &&
            ! LC_ALL=C grep -qs "^[A-Za-z_][A-Za-z_0-9]*=" "$_of" && continue
        exists "$_pid" || continue
        _named=$((_named + 1))
        [ "$_named" -le 20 ] || { _suspects="$_suspects-0"; break; }
        _suspects="$_suspects-$_pid"
    done
}
