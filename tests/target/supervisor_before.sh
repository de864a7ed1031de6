#!/bin/sh
# What pytest-bgcheck runs on a target: POSIX sh and the basic utilities, nothing else.
#
# A run is a directory, a job is a directory in it, and the directory is the truth. The name of a
# job's one `state.*` file is its state; a state changes only by rename, which is atomic, works on a
# full disk, and lets exactly one of several contenders win:
#
#   state.run.START.TIMEOUT.GRACE.SUPERVISOR.GUARD   the check runs (centiseconds, process ids)
#   state.end.KIND.START.GRACE.SUPERVISOR.GUARD      somebody ends it; KIND: timeout, cancel or lost
#   state.exit.RC.TOOK.ATTEMPTS[.full]               final: the command ended by itself; full: there
#                                                    was no space left for its output
#   state.KIND.TOOK.ATTEMPTS.LEFT.NOTE[.RC]          final: timeout, cancel or lost; LEFT processes
#                                                    could not be killed; NOTE: see ending; RC: of
#                                                    the last whole attempt
#   state.refused.WHY                                final: it could not be run
#
# A caller prepares a job in a directory of its own, `new.CALL.ID`, and the job's supervisor, which
# has its guard already and is in the state `run`, claims it by one rename of that directory to `ID`.
# So any number of callers, at any speed, stopped or killed at any place, start a job exactly once,
# and whoever loses attaches. (`mv` moves the directory of one who comes too late into the other:
# it then finds that it is not where it wanted to be.)
#
# Each job has two processes beside the check's own:
#
#   run    the supervisor. It runs the check in the foreground, so that the exit code is exact and
#          SIGINT is not ignored in the check, holds the write end of the FIFO `alive`, and publishes.
#   guard  enforces the limits. It is blocked reading `alive`: end-of-file is the kernel's word that
#          the supervisor is gone, however it went. Each second the read times out, and the guard
#          looks whether the job's directory is still there and can be written, without a fork.
#
# If both are killed at once, the waiter knows: it looks each second whether they are there, also
# without a fork. So whatever is removed or killed, somebody knows it within about two seconds.
#
# Descriptors go to a child by a redirection of its own, in a subshell that becomes the child: ksh
# and mksh pass on no others, and mksh and yash keep a copy of what they redirect in their own shell.
#
# A shell whose `read` has no -t (dash, yash) lends guard and waiter to bash where there is one, as does
# one that counts in 32 bits (mksh), and else to two more processes, a subshell with its sleep. CHLD traps would save these, but bash in POSIX
# mode forgets the exit code it was waiting for, and a wrong verdict is worse than a process.
#
# Whoever waits for jobs makes a FIFO `bell.GROUP.*` in the run's directory; each end rings the bells
# of its group, which is its host (the end of its id): two names of one computer share a directory.
# A bell is opened read-write (1<>), which never blocks, so that a dead waiter's bell harms nobody.
#
# A process is known by its id and the time of its birth: after a restart, of a container above all,
# an id in a file is soon another's. Nobody is killed who is not proven to be the check's.
#
# Values come in as arguments or files, never as program text. The code has no single quotes: each
# would cost five bytes at every level of quoting on its way here. Comments are not sent.
#
# A shell reads this file as far as it runs it. What a job's processes are to be comes first, each
# behind what it needs: half a millisecond in dash, two in bash, for each process of each job.

set -u
# With it, "cd name" could lead elsewhere. And what is asked for before it is set is no login's to set.
unset CDPATH _uid _timed _sees _sees_cwd _told _guards _blind _closer _ended _unpunched _done_out _done_err

_verb=$1 _sh=$2
shift 2

# A check has the login's umask; what is made here is nobody else's.
[ "$_verb" != start ] || _mask=$(umask)
umask 077

# For the processes of a job. A request sets $_run itself.
_id=$1 _run=${1%%-*} _leader=none _leader_born=0 _attempt=0 _last="" _proven=none _known=
_newline="
"

# $_setsid starts a command as the leader of a session of its own, where there is a setsid.
_setsid=
if command -v setsid >/dev/null 2>&1; then _setsid=setsid; fi

# --- states ----------------------------------------------------------------------------------------

# number TEXT: is it one that arithmetic can take? All that stands in a job's directory can have been
# put there by its check, and some shells die of arithmetic with other text, or run it.
number() {
    case $1 in "" | *[!0123456789]* | 0?* | ??????????*) return 1 ;; esac
}

# mark_of ID: set $_mark to what its output begins with. A program that opens /dev/stdout by name empties
# the file that others have written to: then it is not there any more. Python takes it off.
mark_of() { _mark=${1##*-}; }

# find_state PREFIX: set $_state to the job's state, "" if there is none, and what it says; PREFIX is "",
# or the job's directory with a slash. Other names are none: a check can make them.
find_state() {
    _state="" _sup=0 _gid=0
    for _file in "$1"state.*; do
        _file=${_file#"$1"}
        case $_file in *[!0123456789A-Za-z.-]*) continue ;; esac
        case $_state:$_file in
        :* | state.[!r]*:state.run.* | state.r[!u]*:state.run.* | state.[!er]*:state.end.* | state.e[!n]*:state.end.*)
            ! facts "$_file" || _state=$_file ;;
        esac
    done
}

# facts STATE: set what the name of a state.run.* or a state.end.* says; fails if it is no state's.
facts() {
    IFS=.
    # shellcheck disable=SC2086 # split here; no globs
    set -- $1
    unset IFS
    case ${2-}.${3-} in
    run.* | end.timeout | end.cancel | end.lost) ;;
    exit.?* | timeout.?* | cancel.?* | lost.?* | refused.?*) return 0 ;;
    *) return 1 ;;
    esac
    { [ "$#" = 7 ] && number "$4" && number "$5" && number "$6" && number "$7"; } || return 1
    case $2 in
    run)
        number "$3" || return 1
        _start=$3 _timeout=$4 ;;
    end) _kind=$3 _start=$4 ;;
    esac
    _grace=$5 _sup=$6 _gid=$7
}

# --- the check: becomes it, in the job's directory ------------------------------------------------

# born PID: set $_born to when it was born, in ticks, 0 if unknown; and $_stat to its state's letter. A
# process names itself as it likes, with newlines and parentheses: only the last line has the numbers.
born() {
    _stat="" _born=0
    while read -r _line; do _stat=${_line##*\) }; done 2>/dev/null <"/proc/$1/stat" || return 0
    # shellcheck disable=SC2086 # words
    set -- $_stat
    _stat=${1-}
    case ${20-} in "" | *[!0123456789]*) ;; *) _born=${20} ;; esac
}

# launch ID ATTEMPT CALL UMASK LAST: become the check. The leader of the session that will be killed
# is this. CALL is the start that knows the login's directory, LAST the exit code of the attempt before.
launch() {
    PYTEST_BGCHECK_JOB=$_id _job=$PWD _cwd=""
    export PYTEST_BGCHECK_JOB
    born $$
    mark_of "$_id"
    if [ "$2" -gt 1 ]; then
        for _word in pid.*; do mv "$_word" "pid.$$.$2.$_born$5"; done 2>/dev/null
        rm -f out err cut.*
        { printf "%s" "$_mark" >out && printf "%s" "$_mark" >err; } 2>/dev/null || refuse_run output
    else
        { printf "" >"pid.$$.1.$_born"; } 2>/dev/null || refuse_run output
    fi
    # Whoever ends the job changes its state and then looks for this file; we look the other way round.
    find_state ""
    case $_state in state.run.* | "") ;; *) exit 125 ;; esac
    # An exec that cannot redirect ends a shell, with a code that would be taken for the check's.
    if ! { true >>out && true >>err; } 2>/dev/null; then refuse_run output; fi
    exec >>out 2>>err
    read_home "../home.$3" || refuse_run cwd
    umask "$4"
}

# read_home FILE: set $_home to the directory that it names, if it is whole. Not an argument: a check may
# look for its words in everybody's.
read_home() {
    _home=
    while IFS= read -r _line; do _home=$_home$_line$_newline; done 2>/dev/null <"$1"
    case $_home in *"$_newline.$_newline") _home=${_home%"$_newline.$_newline"} ;; *) return 1 ;; esac
}

# enter DIRECTORY: where the check runs; for the specification, which is read in the job's directory: its
# path may lead elsewhere by now.
enter() { _cwd=$1; }

# become NAME=VALUE... PROGRAM ARGUMENT...: for the specification, with the login's environment and these
# variables. They are set by env, since a shell has names of its own that cannot be set, or mean something
# to it; and env takes no option behind a variable.
become() {
    # sudo starts us in directories that its user cannot enter again; and "cd -" would go elsewhere.
    cd -- "$_home" 2>/dev/null || cd /
    case $_cwd in "") ;; /*) cd -- "$_cwd" ;; *) cd -- "./$_cwd" ;; esac || refuse_run cwd
    _pwd=$PWD _aside=${PYTEST_BGCHECK_ASIDE:-0}
    set -- "PYTEST_BGCHECK_JOB=$_id" "$@"
    # Shells set these though the login had none; and SHLVL, of whose unset ksh93 dies.
    [ "$_aside" = 0 ] || unset LOGNAME OLDPWD PWD
    while [ "$_aside" -gt 0 ]; do
        eval "_word=\$PYTEST_BGCHECK_$_aside"
        case $_cwd:$_word in ?*:PWD=*) _word=PWD=$_pwd ;; esac
        set -- "$_word" "$@"
        unset "PYTEST_BGCHECK_$_aside"
        _aside=$((_aside - 1))
    done
    _without=${PYTEST_BGCHECK_WITHOUT-}
    unset PYTEST_BGCHECK_ASIDE PYTEST_BGCHECK_WITHOUT
    # shellcheck disable=SC2086 # words
    exec env $_without "$@"
}

# refuse_run WHY: from what was to become the check. There may be no space for another file.
refuse_run() {
    mv "$_job/spec" "$_job/refused.$1"
    exit 125
}

if [ "$_verb" = launch ]; then
    launch "$@"
    # shellcheck source=/dev/null
    . ./spec
    exit 125
fi

# --- clocks -------------------------------------------------------------------------------------

# now: set $_now to the monotonic clock in centiseconds, modulo 11.5 days (mksh counts in 32 bits).
now() {
    if read -r _now _ 2>/dev/null </proc/uptime; then
        _now=$((${_now%.*} % 1000000 * 100 + 1${_now#*.} - 100))
    else
        _now=$(($(date +%s) % 1000000 * 100))
    fi
}

# since START: set $_took to the centiseconds from START until now.
since() {
    now
    _took=$((_now - $1))
    [ "$_took" -ge 0 ] || _took=$((_took + 100000000))
}

# --- the supervisor: runs the check, in the job's directory ---------------------------------------

# ring ID: wake every waiter for its group; from a job's directory.
ring() {
    for _bell in ../bell."${1#"${1%????}"}".*; do
        [ -p "$_bell" ] && echo "$1" 1<>"$_bell"
    done
    return 0
}

# lent: set $_lent to the option with which bash takes no function and no option from the environment,
# where it comes behind a shell that hands them on without knowing them.
lent() {
    case $_gsh in */bash) _lent=-p ;; *) _lent= ;; esac
}

# supervise ID WORD NEW TIMEOUT GRACE RETRY RCS CALL GUARD_SHELL UMASK LIMIT
supervise() {
    _new=$3 _most=$4 _retry=$6 _rcs=$7 _call=$8 _gsh=$9 _mask=${10}
    lent
    cd "$_new" || exit 1
    exec 9<>alive
    now
    _from=$_now
    (exec $_setsid "$_gsh" $_lent ../supervisor.sh guard "$_sh" "$_id" "guard:$_id" "$$" \
        "$_from" "$_most" "$5" "${11}" 8>&8 9<&-) &
    _state=state.run.$_from.$_most.$5.$$.$!
    if ! { printf "" >"$_state" && mv "../$_new" "../$_id" && claimed; } 2>/dev/null; then
        # Another caller was first. Our guard has nothing to guard; and if it only begins when this
        # directory is gone, it takes the job for a lost one, and ends the other's check.
        { kill -KILL "$!"; wait "$!"; } 2>/dev/null
        # "cd .." would not do: some shells remember where they were.
        rm -rf "../$_new"
        exit 0
    fi
    exec 8>&-
    echo go >&9
    _attempt=1
    while :; do
        (exec $_setsid "$_sh" ../supervisor.sh launch "$_sh" "$_id" "$_attempt" "$_call" "$_mask" "$_last" \
            9<&-)
        _rc=$?
        # killed by signal n: 256 + n in ksh93, 384 + n in yash, 128 + n elsewhere
        [ "$_rc" -gt 384 ] && _rc=$((_rc - 128))
        [ "$_rc" -gt 256 ] && _rc=$((_rc - 128))
        for _word in refused.cwd refused.output; do
            [ ! -e "$_word" ] || publish "state.$_word"
        done
        case ",$_rcs," in *",$_rc,"*) break ;; esac
        [ -n "$_retry" ] || break
        # Else it was ended, and this is no exit code of its own.
        still_runs || exit 0
        _last=.$_rc
        for _word in pid.*; do mv "$_word" "pid.0.$_attempt.0$_last"; done 2>/dev/null
        # By env: where sleep is a builtin (ksh) this would be our own process, not to be ended.
        env PYTEST_BGCHECK_JOB="$_id" sleep "$_retry" 9<&-
        still_runs || exit 0
        _attempt=$((_attempt + 1))
    done
    since "$_from"
    # The clock on the wall may have been set.
    [ -r /proc/uptime ] || [ "$_took" -le "$_most" ] || _took=$_most
    # Nobody tells of output that could not be written, but a byte more cannot be written either.
    _full=
    set -- pid.*
    if [ -f "$1" ]; then
        echo 2>/dev/null >"$1"
        [ -s "$1" ] || _full=.full
    fi
    publish "state.exit.$_rc.$_took.$_attempt$_full"
}

# publish STATE: as the end of a job that runs, without delay: somebody waits. Whoever may have
# claimed it in this instant, the guard, has the verdict; but a new guard only writes its own number
# into the name.
publish() {
    _tries=0
    while still_runs && [ "$_tries" -lt 10 ]; do
        if mv "$_state" "$1" 2>/dev/null; then
            ring "$_id"
        elif [ -e "$_state" ]; then
            # No space, or no process or file to be had just now.
            _tries=$((_tries + 1))
            sleep 0.05 2>/dev/null || sleep 1
        fi
    done
    exit 0
}

# still_runs: so its state says.
still_runs() {
    find_state ""
    case $_state in state.run.*) ;; *) return 1 ;; esac
}

# claimed: is this directory the job's?
claimed() {
    # shellcheck disable=SC3013 # every shell has it
    [ . -ef "../$_id" ]
}

if [ "$_verb" = run ]; then supervise "$@"; fi

# --- waiting --------------------------------------------------------------------------------------

# timed_read: can this shell bound a read?
timed_read() {
    # shellcheck disable=SC3045 # this asks whether it is there
    [ -n "${_timed-}" ] || { (read -r -t 1 _ </dev/null) 2>/dev/null; _timed=$?; }
    [ "$_timed" -le 1 ]
}

# hear CENTISECONDS FIFO: wait for a line on fd 4, its end-of-file, or the time-out; set $_quiet where
# the shell can tell that it was the latter.
hear() {
    _secs=$(($1 / 100)) _frac=$(($1 % 100))
    case $_frac in ?) _frac=0$_frac ;; esac
    # bash before 4 takes whole seconds only
    case ${BASH_VERSION-} in [123].*) _secs=$((_secs + 1)) ;; *) _secs=$_secs.$_frac ;; esac
    _heard="" _quiet=""
    if timed_read; then
        # shellcheck disable=SC3045 # only where timed_read has just seen that it works
        read -r -t "$_secs" _heard <&4
        case $?${BASH_VERSION+bash} in 1[3-9]?bash) _quiet=yes ;; esac
    else
        # Redirected within: yash forks twice for a group with redirections, and $! is the outer one.
        {
            exec 4<&- </dev/null >/dev/null 2>&1
            # By $!, which is there as soon as the sleep is; "nap=$!" might come too late. KILL, since
            # a child that has just been forked may still have our trap, and lose a TERM in it.
            _before=${!-}
            trap "[ \"\${!-}\" = \"\$_before\" ] || kill -KILL \"\$!\"; exit 0" TERM
            case $_secs in *.00) _secs=${_secs%.*} ;; *) sleep 0.01 || _secs=$((${_secs%.*} + 1)) ;; esac
            sleep "$_secs" &
            wait "$!"
            if [ -p "$2" ]; then echo timer 1<>"$2"; else bereft; fi
        } &
        _timer=$!
        read -r _heard <&4
        # Not waited for: that would be a millisecond before each result.
        kill "$_timer" 2>/dev/null
    fi
    return 0
}

# bereft: from the timer of a shell that cannot bound a read, when its FIFO was removed: nobody could
# wake that read any more.
bereft() {
    if [ -n "${_guards-}" ]; then kill_all; fi
    kill -KILL $$
}

# narrow: does this shell count in 32 bits, as mksh does?
narrow() { [ "$((2147483647 + 1))" -lt 0 ]; }

# guard_shell: set $_gsh to a shell that can bound a read and count bytes, or to our own; start it with $_lent.
guard_shell() {
    _gsh=$_sh
    { timed_read && ! narrow; } || _gsh=$(command -v bash) || _gsh=$_sh
    lent
}

# rounds WAIT: set $_round to how long to wait, of WAIT centiseconds, before looking around.
rounds() {
    _round=100
    timed_read || _round=200
    [ "$1" -ge "$_round" ] || _round=$1
}

# writable JOB: can its state be changed? A file system that has become read-only lets root pass -w in
# some shells. Nothing may be made where somebody is about to remove it all.
writable() {
    [ -w "$1" ] && { [ ! -f "$1/spec" ] || true 2>/dev/null >>"$1/spec" || ! denied "$1/spec"; }
}

# denied FILE: is it proven that this cannot be written? Whatever else fails, a full table of files
# above all, is no proof. In a subshell: dash ends where it gets no pipe.
denied() {
    (
        LC_ALL=C
        _why=$({ true >>"$1"; } 2>&1)
        case $_why in *ead-only* | *ermission*denied* | *"o such file"*) exit 0 ;; esac
        exit 1
    ) 2>/dev/null
}

# --- processes ------------------------------------------------------------------------------------

# lives PID JOB [WORD]: is this the supervisor or the guard of the job in this directory? Anybody can have
# any words in his arguments, and any number, but not be ours and be in there. WORD tells the two apart:
# after a restart of a container a new guard may have got the number that the supervisor had. Where no
# directory can be seen (no /proc), ps has to do, with the WORD, and without one the mere number. Where
# that cannot be seen either (a chroot), what is not known is taken for alive.
lives() {
    if sees_directories; then
        # shellcheck disable=SC3013,SC3067 # every shell has it
        [ -O "/proc/$1" ] && [ "/proc/$1/cwd" -ef "$2" ] &&
            { [ -z "${3-}" ] || grep -qs "$3" "/proc/$1/cmdline"; }
        return
    fi
    exists "$1" || return 1
    [ -n "${3-}" ] || return 0
    who
    # shellcheck disable=SC2046 # words
    set -- "$3" $(ps -o uid= -o args= -p "$1" 2>/dev/null)
    [ -n "${2-}" ] || return 0
    case "$*" in "$1 $_uid "*" $1 "*) ;; *) return 1 ;; esac
}

# live: set $_live to the processes of the run in whose directory this is that look after jobs, or start
# some. Who waits is not among them, nor a user who looks at a job's files.
live() {
    _live=""
    if sees_directories; then
        for _entry in /proc/[0-9]*; do
            # shellcheck disable=SC3013,SC3067 # every shell has it
            if [ -O "$_entry" ] && [ "$_entry/cwd/.." -ef . ] && grep -qs "supervisor[.]sh" "$_entry/cmdline"; then
                _live="$_live ${_entry#/proc/}"
            fi
        done
    else
        who
        _live=$(ps -A -o pid= -o uid= -o args= 2>/dev/null)
        [ -n "$_live" ] || _blind=yes
        _live=$(printf "%s\n" "$_live" |
            LC_ALL=C sed -n "s/^ *\([0-9]*\)  *$_uid .*supervisor[.]sh .* [a-z]*:$_run-.*/\1/p")
    fi
    for _word in up.*; do
        ! lives "${_word##*.}" . || _live="$_live ${_word##*.}"
    done
}

# sees_directories: can it be seen in which directory a process is?
sees_directories() {
    # shellcheck disable=SC3013 # every shell has it
    [ -n "${_sees_cwd-}" ] || { _sees_cwd=no; [ ! /proc/self/cwd -ef . ] || _sees_cwd=yes; }
    [ "$_sees_cwd" = yes ]
}

# who: set $_uid to the user that this is.
who() { _uid=${_uid:-$(id -u)}; }

# exists PID: by builtins alone. A process that has ended and is not yet reaped does not.
exists() {
    [ -n "${_sees-}" ] || { _sees=no; [ ! -e "/proc/$$/exe" ] || _sees=yes; }
    case $_sees in
    yes) [ -e "/proc/$1/exe" ] ;;
    *) kill -0 "$1" 2>/dev/null ;;
    esac
}

# table: set $_table to a word PID:PARENT:GROUP:SESSION:BORN for each living process. The number is that
# of the file, which grep tells for each line: a name may hold newlines, parentheses and digits, but
# not, in the 15 bytes that it has, all that follows it. (sed alone would end at a process that has
# gone since its file was opened, and hide all that come behind it.)
table() {
    if [ -r /proc/self/stat ]; then
        _table=$(LC_ALL=C grep -s "" /dev/null /proc/[0-9]*/stat |
            LC_ALL=C sed -n "s/^.proc.\([0-9]*\).stat:.*) [^XZ] \([0-9]*\) \([0-9]*\) \([0-9]*\)\( [-0-9]*\)\{15\} \([0-9]*\) .*/\1:\2:\3:\4:\6/p")
    else
        _table=$(ps -A -o pid= -o ppid= -o pgid= 2>/dev/null | while read -r _pid _parent _group; do
            echo "$_pid:$_parent:$_group:$_group:0"
        done)
    fi
}

# row WORD: set $_pid, $_parent, $_group, $_session and $_born from a word of the table.
row() {
    IFS=:
    # shellcheck disable=SC2086 # split here
    set -- $1
    unset IFS
    _pid=$1 _parent=$2 _group=$3 _session=$4 _born=$5
}

# cookies TEXT: set $_marked to the processes whose environment holds it.
cookies() {
    _marked=" "
    [ -r /proc/self/environ ] || return 0
    # shellcheck disable=SC2013 # names of /proc have no spaces
    for _entry in $(grep -ls "PYTEST_BGCHECK_JOB=$1" /proc/[0-9]*/environ); do
        _entry=${_entry%/environ}
        _marked="$_marked${_entry#/proc/} "
    done
}

# tree: set $_tree to the processes of the check, from its job's directory: those that carry its
# cookie, those of its process's group or session, its descendants, and those that write to its
# output. $_known remembers them: what has lost its parent meanwhile is still the check's.
tree() {
    cookies "$_id"
    table
    _tree=" "
    job_facts
    for _word in $_table; do
        case $_word in
        "$_leader":*":$_leader_born") _proven=$_leader ;;
        *:"$_leader":*)
            # A group or a session has no other with its number as long as it has a member.
            case $_marked in *" ${_word%%:*} "*) _proven=$_leader ;; esac ;;
        esac
    done
    for _word in $_table; do
        row "$_word"
        case " $_known " in *" $_pid:$_born "*) _tree="$_tree$_pid " && continue ;; esac
        case $_marked in *" $_pid "*) _tree="$_tree$_pid " && continue ;; esac
        case $_proven in "$_group" | "$_session") _tree="$_tree$_pid " && continue ;; esac
        # shellcheck disable=SC3013 # every shell has it
        if [ "/proc/$_pid/fd/1" -ef out ] || [ "/proc/$_pid/fd/2" -ef err ]; then _tree="$_tree$_pid "; fi
    done
    # Descendants of the check's own process, not of all: a service that it has restarted may have
    # begun everybody's sessions.
    _kin=" $_proven " _grown=yes
    while [ -n "$_grown" ]; do
        _grown=
        for _word in $_table; do
            row "$_word"
            case $_kin in *" $_pid "*) continue ;; *" $_parent "*) _kin="$_kin$_pid " _grown=yes ;; *) continue ;; esac
            case $_tree in *" $_pid "*) ;; *) _tree="$_tree$_pid " ;; esac
        done
    done
    _known=
    for _word in $_table; do
        case $_tree in *" ${_word%%:*} "*) _known="$_known ${_word%%:*}:${_word##*:}" ;; esac
    done
    _tree=${_tree# }
}

# job_facts: set $_leader, $_leader_born, $_attempt and $_last from the name of the file
# pid.LEADER.ATTEMPT.BORN[.LAST]. It is there from the start of the first attempt on.
job_facts() {
    for _file in pid.*; do
        case $_file in pid.*[!0123456789.]*) continue ;; esac
        IFS=.
        # shellcheck disable=SC2086 # split here; no globs
        set -- $_file
        unset IFS
        { number "${2-}" && number "${3-}" && [ -n "${4-}" ]; } || continue
        _attempt=$3 _last=
        ! number "${5-}" || _last=$5
        [ "$2" -gt 1 ] || continue
        _leader=$2 _leader_born=$4
    done
}

# signal NAME: to all of the check. With any but KILL, what was stopped goes on, to hear it.
signal() {
    tree
    for _pid in $_tree; do kill "-$1" "$_pid" 2>/dev/null; done
    if [ -z "$_table" ] && [ "$_leader" != none ]; then
        # Nothing can be seen here.
        kill "-$1" "-$_leader" 2>/dev/null || kill "-$1" "$_leader" 2>/dev/null
    fi
    if [ "$1" != KILL ]; then
        for _pid in $_tree; do kill -CONT "$_pid" 2>/dev/null; done
    fi
}

# kill_all: until nothing of the check is left, or it cannot be killed.
kill_all() {
    _rounds=0
    while signal KILL; [ -n "$_tree" ] && [ "$_rounds" -lt 20 ]; do
        _rounds=$((_rounds + 1))
        nap
    done
}

# suspects: set $_suspects to processes that may be the check's and were not proven to be: orphans of
# our user and our control group, younger than the check, with an environment that was emptied.
suspects() {
    _suspects=
    [ "$_leader_born" != 0 ] && read -r _control 2>/dev/null </proc/self/cgroup || return 0
    table
    for _word in $_table; do
        row "$_word"
        if [ "$_parent" = 1 ] && [ "$_born" -ge "$_leader_born" ] && [ -O "/proc/$_pid" ]; then
            read -r _other 2>/dev/null <"/proc/$_pid/cgroup" || continue
            [ "$_other" != "$_control" ] || _suspects="$_suspects $_pid"
        fi
    done
    # shellcheck disable=SC2086 # words
    set -- $_suspects
    _suspects=
    for _pid in "$@"; do
        _of=/proc/$_pid/environ
        grep -qs -e PYTEST_BGCHECK_JOB= -e PATH= -e HOME= "$_of" && continue
        # A daemon that writes its title over its environment has not emptied it.
        grep -qs "" "$_of" && ! LC_ALL=C grep -qs "^[A-Za-z_][A-Za-z_0-9]*=" "$_of" && continue
        ! exists "$_pid" || _suspects="$_suspects-$_pid"
    done
}

# --- the guard: enforces the limits, in the job's directory ----------------------------------------

# guard ID NAME SUPERVISOR START TIMEOUT GRACE LIMIT: see the top of this file. It can be started again at any
# time, and goes on; SUPERVISOR and START are empty if a waiter has started it.
guard() {
    _waited=0 _missed=0 _adopted=""
    [ -p alive ] || abandon
    # A guard was ended while it held the check.
    [ ! -e rest ] || signal CONT
    # Opened both ways for a moment, so that it never waits for a writer; then EOF means: no writer.
    # shellcheck disable=SC2094
    exec 3<>alive 4<alive 3>&-
    while [ -n "$_boss" ]; do
        # Until the job is claimed there is nothing to guard. Then comes "go", if all is well.
        hear 100 alive
        if [ "$_heard" = go ] || claimed; then break; fi
        exists "$_boss" || leave
    done
    _guards=yes
    while :; do
        find_state ""
        case $_state in
        state.run.*)
            [ -n "$_begun_at" ] || adopt
            own ;;
        state.end.*)
            up
            [ -n "$_begun_at" ] || adopt
            own
            ending
            leave ;;
        "")
            # Removed; or we have looked at it just as it changed; or the check has renamed it.
            [ -p alive ] || abandon
            _missed=$((_missed + 1))
            if [ "$_missed" -gt 3 ]; then
                now
                _state=state.end.lost.$_now.0.1.$$
                [ -z "$_begun_at" ] || _state=state.run.$_begun_at.$_most.$_patience.$_boss.$$
                { printf "" >"$_state"; } 2>/dev/null || abandon
            fi
            nap
            continue ;;
        *)
            up
            # Its supervisor goes when it has published; if it stays, the check has made this state.
            _sup=${_boss:-0}
            await_supervisor 500
            ! exists "$_sup" || [ "$_sup" = 0 ] || abandon
            leave ;;
        esac
        _missed=0
        up
        limits
        job_facts
        writable . || abandon
        if [ "$_boss" = 0 ]; then
            turn "$_state" "state.end.lost.$_start.$_grace.$_sup.$$"
            continue
        fi
        if [ "$_left" -le 0 ]; then
            turn "$_state" "state.end.timeout.$_start.$_grace.$_sup.$$"
            continue
        fi
        rounds "$_left"
        _before=$_left _idle=0 _seen=$_state
        while
            hear "$_round" alive
            _waited=$((_waited + _round))
            # Ten times out of eleven, far from the limit, this look is enough: three system calls.
            [ -n "$_quiet" ] && [ "$_idle" -lt 10 ] && [ "$_before" -gt 2000 ] && [ -e "$_seen" ] && [ -w . ] &&
                ! has_grown
        do
            _idle=$((_idle + 1)) _before=$((_before - _round))
        done
        [ "$_heard" != go ] || continue
        bound_output
        find_state ""
        [ "$_state" = "$_seen" ] || continue
        limits
        [ "$_left" -gt 0 ] || continue
        if [ -r /proc/uptime ]; then
            [ "$((_before - _left))" -lt "$((_round - 5))" ] || continue
        else
            ! exists "$_sup" || continue
        fi
        # Woken early: the supervisor is gone, or this was a false alarm (a signal, say).
        if lives "$_sup" . "run:$_id"; then
            sleep 1
        else
            turn "$_state" "state.end.lost.$_start.$_grace.$_sup.$$"
        fi
    done
}

# adopt: the job of a guard that is gone, from its state, which says who the supervisor is, if there is
# one, and when the check began.
adopt() {
    _adopted=$_state _begun_at=$_start _boss=0
    if lives "$_sup" . "run:$_id"; then _boss=$_sup; fi
}

# own: see to it that the state's name says our number, and nothing else than what the job was started
# with, whatever its check has made of it.
own() {
    case $_adopted in
    "" | "$_state") ;;
    # It is another guard's, which was started when we were not seen.
    *) [ "$_gid" = $$ ] || ! lives "$_gid" . "guard:$_id" || leave ;;
    esac
    [ "$_grace" -lt "$_patience" ] || _grace=$_patience
    _start=$_begun_at _timeout=$_most _sup=$_boss
    case $_state in
    state.run.*) set -- "state.run.$_start.$_timeout.$_grace.$_sup.$$" ;;
    *) set -- "state.end.$_kind.$_start.$_grace.$_sup.$$" ;;
    esac
    [ "$_state" != "$1" ] || return 0
    turn "$_state" "$1"
    _state=$1
}

# leave: for good. A guard that ends in another way begins again: an error of its own in what it has read
# must not leave a check without limits.
leave() {
    trap - EXIT
    exit 0
}

begin_again() {
    [ -z "${_told-}" ] || exec 8>/dev/null
    nap
    guard_shell
    exec "$_gsh" $_lent ../supervisor.sh guard "$_sh" "$_id" "guard:$_id" "$_boss" "$_begun_at" "$_most" "$_patience" "$_limit" \
        8>&8 4<&-
}

# --- bounded output: the guard cuts the middle of what is too long, in place -----------------------

# Each file is opened by the check for appending, so that whoever writes goes on at its new end. A report
# has LIMIT bytes, half of them from the head and half from the tail. Where the file system can forget
# the middle of a file, its size stays the true one. Else the check is stopped for a moment, the middle
# taken out, and what was dropped stands in the name of a file, cut.STREAM.ATTEMPT.BYTES; ending in
# .busy while the two do not fit. What is cut is an open file: it may be that of an attempt that is over.

# has_grown: has output been written since the last look?
has_grown() {
    _then=seen
    [ -e seen ] || _then=spec
    # shellcheck disable=SC3013 # every shell has it
    [ out -nt "$_then" ] || [ err -nt "$_then" ]
}

# bound_output: look, and cut what is too long.
bound_output() {
    has_grown || return 0
    mark_of "$_id"
    # Both ways: it may have been made a FIFO.
    { echo 1<>seen; } 2>/dev/null
    for _which in out err; do
        [ -f "$_which" ] || continue
        size_of "$_which"
        eval "_done=\${_done_$_which:-0}"
        [ "$_done" -le "$_size" ] || _done=0
        [ "$((_size - _done))" -gt "$((4 * _limit + 1000000))" ] || continue
        if [ -z "${_unpunched-}" ] && ! narrow && punch 2>/dev/null <>"$_which"; then
            eval "_done_$_which=\$_size"
        else
            _unpunched=yes
            shorten
        fi
    done
}

# size_of FILE: set $_size to its size; 0 if there is none. (Some wc would read it all.)
size_of() {
    # shellcheck disable=SC2012,SC2046 # the size is in front of the name
    set -- $(LC_ALL=C ls -ldnL "$1" 2>/dev/null)
    _size=${5:-0}
    case $_size in *[!0123456789]*) _size=0 ;; ??????????*) ! narrow || _size=2147483647 ;; esac
}

# sum SIZE SIZE: set $_sum, where a narrow shell alone has to count to the most that it can.
sum() {
    _sum=$(($1 + $2))
    [ "$_sum" -ge 0 ] || _sum=2147483647
}

# dropped PREFIX STREAM ATTEMPT: set $_dropped to the bytes that were taken out of the middle of a stream,
# and $_record to the file that says so; PREFIX as for find_state.
dropped() {
    _dropped=0 _record=
    for _file in "$1cut.$2.$3".*; do
        _word=${_file#"$1cut.$2.$3."}
        _word=${_word%.busy}
        case $_word in "" | *[!0123456789]* | 0?* | ????????????????*) ;; *) _dropped=$_word _record=$_file ;; esac
    done
}

# punch: free the middle of the file on fd 0.
punch() {
    [ -f /proc/self/fd/0 ] || return 1
    size_of /proc/self/fd/0
    _off=$(((_limit / 2 + ${#_mark} + 4095) / 4096 * 4096))
    fallocate -p -o "$_off" -l "$(((_size - _limit) / 4096 * 4096 - _off))" /proc/self/fd/0
}

# shorten: stop whoever writes to $_which, and take its middle out.
shorten() {
    { printf "" 1<>rest; } 2>/dev/null
    tree
    for _pid in $_tree; do kill -STOP "$_pid" 2>/dev/null; done
    (take_out) 2>/dev/null <>"$_which"
    for _pid in $_tree; do kill -CONT "$_pid" 2>/dev/null; done
    rm -f rest
}

# take_out: the middle of the file on fd 0, if nobody writes to it. What cannot be written down is not done.
take_out() {
    # By another number for dd, which opens what it reads as 0.
    _here=/proc/self/fd/0 _there=/proc/self/fd/5
    [ -f "$_here" ] || _here=$_which _there=$_which
    _head=$((_limit / 2 + ${#_mark})) _tail=$((_limit - _limit / 2))
    # Who has just been stopped may still be in a write.
    nap
    size_of "$_here"
    _was=$_size
    rm -f rest
    tail -c "$_tail" "$_here" >rest
    size_of rest
    _rest=$_size
    size_of "$_here"
    { [ "$_size" = "$_was" ] && [ "$_rest" = "$_tail" ] && [ "$((_size - _head))" -gt "$_tail" ]; } || exit 0
    dropped "" "$_which" "$_attempt"
    sum "$_dropped" "$((_size - _head - _tail))"
    _cut=cut.$_which.$_attempt.$_sum
    if [ -n "$_record" ]; then mv "$_record" "$_cut.busy"; else printf "" >"$_cut.busy"; fi
    [ -e "$_cut.busy" ] || exit 0
    if dd if=/dev/null of="$_there" bs=1 seek="$_head" 5<&0; then
        cat rest >>"$_here"
        mv "$_cut.busy" "$_cut"
    elif [ -n "$_record" ]; then
        mv "$_cut.busy" "$_record"
    else
        rm -f "$_cut.busy"
    fi
}

# up: say once that the guard is there.
up() {
    [ -z "${_told-}" ] || return 0
    _told=yes
    echo "$_id" >&8
    exec 8>&-
}

# turn OLD NEW: change the state. Somebody else may have; but if nobody can, nothing can be told here
# any more, and all there is to do is to leave nothing. Whoever waits sees that we are gone.
turn() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        mv "$1" "$2" 2>/dev/null && return
        [ -e "$1" ] || return 0
        ! denied "$1" || break
        nap
    done
    abandon
}

abandon() {
    kill_all
    leave
}

# limits: set $_left to what is left of the time-out. A clock that can be set is not asked: without
# /proc, what the guard itself has waited counts.
limits() {
    if [ -r /proc/uptime ]; then since "$_start"; else _took=${_waited:-0}; fi
    _left=$((_timeout - _took))
}

# ending: TERM, up to the grace period, then KILL in any case (the leader may be gone while
# its children live); then publish. A lost job gets no grace: nobody would take its exit code.
#
# The NOTE is x, or T if the check was found stopped, and the ids of the suspects, with hyphens.
ending() {
    if [ -r /proc/uptime ]; then since "$_start"; else _took=$_waited; fi
    _ended=$_took
    job_facts
    born "$_leader"
    case $_stat in T) _note=T ;; *) _note=x ;; esac
    [ "$_kind" = lost ] || { signal TERM; await_supervisor "$_grace"; }
    kill_all
    # shellcheck disable=SC2086 # counted as words
    set -- $_tree
    suspects
    for _word in state.end.*; do
        turn "$_word" "state.$_kind.$_ended.$_attempt.$#.$_note$_suspects${_last:+.$_last}"
    done
    ring "$_id"
}

# await_supervisor CENTISECONDS: until the supervisor has gone (the check has ended), or the time-out.
await_supervisor() {
    now
    _begun=$_now
    while [ "$_sup" != 0 ] && exists "$_sup"; do
        since "$_begun"
        [ "$_took" -lt "$1" ] || break
        rounds $(($1 - _took))
        hear "$_round" alive
        bound_output
        ! exists "$_sup" || nap
    done
}

nap() { sleep 0.05 2>/dev/null || sleep 1; }

if [ "$_verb" = guard ]; then
    _boss=$3 _begun_at=$4 _most=$5 _patience=$6 _limit=$7
    trap begin_again EXIT
    guard "$@"
fi

# --- replies ------------------------------------------------------------------------------------------

# A reply is a frame of lines between "NONCE begin ENCODING" and "NONCE end RECORDS". Whatever a
# login shell prints stands outside it, and whatever a check printed is encoded, or has a "=" in front
# of each line.

reply() {
    _enc=hex _encoder="od -An -v -tx1"
    if command -v base64 >/dev/null 2>&1; then _enc=base64 _encoder=base64; fi
    _records=0 _pending="$_newline$_nonce begin $_enc$_newline"
}

record() {
    _records=$((_records + 1)) _pending="$_pending$*$_newline"
}

# flush: write what is pending. Few writes are few packets on the line, and wake the other end once.
flush() {
    printf "%s" "$_pending"
    _pending=""
}

end_frame() {
    _pending="$_pending$_nonce end $_records$_newline"
    flush
}

finish() {
    end_frame
    exit 0
}

# end_data: behind what an encoder has written, after a flush.
end_data() { _pending="$_pending.$_newline"; }

# refuse ID REASON: ID "*" is the whole request.
refuse() {
    record "refused $1 $(printf "%s" "$2" | LC_ALL=C tr -c " -~" " ")"
}

# blob NAME FILE LIMIT: a file whole, or its head and its tail; counted first, since it may grow. $_dropped
# bytes are missing between them. All with the mark ahead.
blob() {
    _size=0 _text=""
    if [ ! -s "$2" ] || [ ! -f "$2" ]; then
        record "$1" 0 0 0
    elif [ "$_dropped" = 0 ] && plain "$2" && [ "${#_text}" -le "$(($3 + ${#_mark}))" ]; then
        _size=${#_text}
        record "$1" "$_size" "$_size" 0
        while case $_text in *"$_newline"*) ;; *) false ;; esac; do
            _pending="$_pending=${_text%%"$_newline"*}$_newline" _text=${_text#*"$_newline"}
        done
        _pending="$_pending=$_text$_newline"
    else
        size_of "$2"
        if [ "$_dropped" = 0 ] && [ "$_size" -le "$(($3 + ${#_mark}))" ]; then
            record "$1" "$_size" "$_size" 0
            flush
            head -c "$_size" "$2" | $_encoder
        else
            _head=$(($3 / 2 + ${#_mark})) _tail=$(($3 - $3 / 2))
            # Of a cut that was broken off there may be less.
            [ "$_size" -ge "$_head" ] || _head=$_size
            [ "$((_size - _head))" -ge "$_tail" ] || _tail=$((_size - _head))
            sum "$_size" "$_dropped"
            record "$1" "$_sum" "$_head" "$_tail"
            flush
            {
                head -c "$_head" "$2"
                # It is more than the shell can count.
                if [ "$_size" = 2147483647 ]; then tail -c "$_tail" "$2"; else from "$((_size - _tail))" "$2" | head -c "$_tail"; fi
            } | $_encoder
        fi
    fi
    end_data
    _spent=$((_spent + (_size < $3 ? _size : $3)))
}

# from OFFSET FILE: print a file from there on. dd seeks, which not every tail does, and what lies before
# may be a hole of many gigabytes.
from() {
    if command -v dd >/dev/null 2>&1; then
        dd if="$2" bs=1024 skip="$(($1 / 1024))" 2>/dev/null | tail -c "+$(($1 % 1024 + 1))"
    else
        tail -c "+$(($1 + 1))" "$2"
    fi
}

# plain FILE: is it short and printable? Then set $_text to it. By builtins alone, where the shell can:
# a program or three would be most of the time that a waiter takes. Without bash only what is empty.
plain() {
    if [ -z "${BASH_VERSION-}" ]; then
        size_of "$1"
        [ "$_size" = "${#_mark}" ] && ! IFS= read -r _text <"$1" && [ "$_text" = "$_mark" ]
        return
    fi
    LC_ALL=C
    # shellcheck disable=SC3045 # bash. Not the end of the file: it is longer, or there is a NUL in it.
    if IFS= read -r -d "" -n 2000 _text <"$1"; then return 1; fi
    case $_text in "" | *[!\ -~"$_newline"]*) return 1 ;; esac
}

# missing ID STREAM: set $_dropped for the last attempt, when nobody is cutting.
missing() {
    _dropped=0
    for _file in "$1/cut.$2".*; do
        [ -e "$_file" ] || return 0
    done
    case $_state in
    state.exit.*.*.*) _attempt=${_state#state.*.*.*.} ;;
    state.[tcl]*.*.*) _attempt=${_state#state.*.*.} ;;
    *) for _file in "$1"/pid.*; do _attempt=${_file##*/pid.} _attempt=${_attempt#*.}; done ;;
    esac
    _rounds=0
    while set -- "$1" "$2" "$1/cut.$2".*.busy; [ -e "$3" ] && [ "$_rounds" -lt 20 ]; do
        _rounds=$((_rounds + 1))
        nap
    done
    dropped "$1/" "$2" "${_attempt%%.*}"
}

# report ID LIMIT: a job's state and its output.
report() {
    find_state "$1/"
    _took=-
    case $_state in
    state.run.* | state.end.*)
        since "$_start"
        # Told as ended, though nobody could write that down.
        case " ${_ended-} " in *" $1="*) _state=state.lost.$_took.1.0.W ;; esac ;;
    "") _state=gone ;;
    esac
    record job "$1" "$_state" "$_took"
    [ "$_state" != gone ] || return 0
    mark_of "$1"
    for _which in out err; do
        missing "$1" "$_which"
        blob "$_which" "$1/$_which" "$2"
    done
    [ "${#_pending}" -lt 4000 ] || flush
}

# --- the way in -----------------------------------------------------------------------------------------

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

# --- requests -------------------------------------------------------------------------------------------

# tools: refuse to start anything where one is missing that somebody needs until a job is cleaned up. (Only
# what others have left needs find, and lies on without.)
tools() {
    command -v base64 >/dev/null 2>&1 || set -- od
    [ -r /proc/uptime ] || set -- date "$@"
    for _word in "[" cat chmod echo env grep head id ls mkdir mkfifo mv rm rmdir sed sleep tail wc "$@"; do
        command -v "$_word" >/dev/null 2>&1 || { refuse "*" "there is no $_word"; finish; }
    done
}

# enter_root: make or enter the user's directory, and in it the run's; refuse what is not safely ours. Again,
# if another run of this user has ended and removed the directory meanwhile: none may disturb another.
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

# set_aside: what our shells would change or lose of the login's environment, on its way to the checks,
# into variables that they leave alone: PYTEST_BGCHECK_1=NAME=VALUE and so on. Some of it was taken from
# our own processes by the head of the request. Only the kernel still knows all of it.
set_aside() {
    PYTEST_BGCHECK_ASIDE=0 PYTEST_BGCHECK_WITHOUT="" _seen="" _rest=""
    if [ -r "/proc/$$/environ" ]; then
        # A newline in a value becomes what is in none of them.
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
        # Our own.
        _*) ;;
        # Names that no shell takes: those of bash functions, say.
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
    # What some shells tell each program though the login has none: where env can take it away.
    case $_seen${KSH_VERSION-} in
    ..) ;;
    *) ! env -u _ true 2>/dev/null || PYTEST_BGCHECK_WITHOUT="-u _ -u SHLVL -u _AST_FEATURES" ;;
    esac
    export PYTEST_BGCHECK_ASIDE PYTEST_BGCHECK_WITHOUT
}

# start NONCE BASE RUN ITEM...: make the run's directory and start jobs. An item is
#   file NAME DATA
#   job ID SPEC SPEC_SIZE TIMEOUT GRACE RETRY RCS TERMS SCRIPT_SIZE LIMIT
# An empty SPEC was sent before, in parts. A job that is there already is left alone, so that a request
# can be repeated, also while it is under way: its own files carry $_own.
start() {
    _nonce=$1 _run=$3 _home=${PWD-/} _own=$1.$$
    set_aside
    reply
    tools
    who
    _root=$(printf %b "$2")
    _root=${_root:-${TMPDIR:-/tmp}}
    case $_root in /*) ;; *) _root=$_home/$_root ;; esac
    _root=${_root%/}/pytest-bgcheck-$_uid
    enter_root || { refuse "*" "$_why"; finish; }
    shift 3
    if [ ! -f supervisor.sh ]; then
        _why=$({ printf "%s\n" "${_source-}" >"new.$_own"; } 2>&1)
        if ! sized "new.$_own" "$((${#_source} + 1))"; then
            reason "new.$_own"
            rm -f "new.$_own"
            refuse "*" "cannot write to $_root/$_run: ${_why:-no space left on device?}"
            finish
        fi
        mv "new.$_own" supervisor.sh
    fi
    # It may have been made when the directory was still open to others.
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
    guard_shell
    _made="" _pipes=up.$_own _files="" _started=""
    each list_job "$@"
    # All at once: a fork for each job would be felt. What is missing then is seen for each job.
    # shellcheck disable=SC2086 # words
    _why=$(LC_ALL=C mkdir $_made 2>&1; LC_ALL=C mkfifo $_pipes 2>&1)
    [ -p "up.$_own" ] || { refuse "*" "${_why%%"$_newline"*}"; finish; }
    each prepare_job "$@"
    # On a full disk some shells report no error: the sizes tell.
    # shellcheck disable=SC2046,SC2086 # words
    keep_sizes $(wc -c supervisor.sh $_files 2>/dev/null)
    # Closed with the group; "exec 8>&-" leaves a copy open in mksh.
    # shellcheck disable=SC2094
    {
        exec 7<"up.$_own"
        each run_job "$@"
    } 8<>"up.$_own"
    # Each guard says its job's id; end-of-file when the last one has, or has died.
    _up=" "
    while read -r _id <&7; do _up="$_up$_id "; done
    rm -f "up.$_own"
    for _word in $_started; do
        _id=${_word%%=*}
        case $_up in *" $_id "*) record started "$_id" && continue ;; esac
        if [ -d "$_id" ]; then
            attach "$_id" "${_word##*=}"
        else
            refuse "$_id" "its supervisor did not come up"
        fi
    done
    finish
}

# each STEP ITEM...: take one step with all items.
each() {
    _step=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        file)
            [ "$_step" != list_job ] || { printf %b "$3" >"put.$_own" && mv "put.$_own" "$2"; } 2>/dev/null
            shift 3 ;;
        job)
            _new=new.$_own.$2
            "$_step" "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$9" "${10}" "${11}"
            shift 11 ;;
        esac
    done
}

# list_job, prepare_job, run_job: the steps. Each has the words of an item.
list_job() {
    [ ! -d "$1" ] || return 0
    _made="$_made $_new" _pipes="$_pipes $_new/alive" _files="$_files $_new/spec"
    [ "$9" = 0 ] || _files="$_files $_new/script"
}

prepare_job() {
    [ -p "$_new/alive" ] || return 0
    {
        mark_of "$1"
        printf "%s" "$_mark" >"$_new/out"
        printf "%s" "$_mark" >"$_new/err"
        printf "" >"$_new/terms.$8"
        if [ -n "$2" ]; then printf %b "$2" >"$_new/spec"; else cat "spec-$1.$8".* >"$_new/spec"; fi
        [ "$9" = 0 ] || { cat "script-$1.$8".* >"$_new/script" && chmod 700 "$_new/script"; }
    } 2>/dev/null
}

run_job() {
    case " $_made " in *" $_new "*) ;; *) attach "$1" "$8"; return ;; esac
    if ! { [ -s "$_new/out" ] && [ -s "$_new/err" ] && [ -e "$_new/terms.$8" ] &&
        has_size "$3" spec && has_size "$9" script; }; then
        _why=${_why%%"$_newline"*}
        [ ! -p "$_new/alive" ] || reason "$_new/spec"
        rm -rf "./$_new"
        refuse "$1" "cannot write to $PWD: ${_why:-no space left on device?}"
        return
    fi
    _started="$_started $1=$8"
    set -- "$_sh" ./supervisor.sh run "$_sh" "$1" "run:$1" "$_new" "$4" "$5" "$6" "$7" "$_own" \
        "$_gsh" "$_mask" "${10}"
    # The first setsid makes the second a session leader, which therefore forks, and returns at
    # once: a daemon without "&", which would leave SIGINT and SIGQUIT ignored in the check.
    if [ -n "$_setsid" ]; then
        (exec setsid setsid "$@" </dev/null >/dev/null 2>&1 8>&8 7<&-)
    else
        (trap "" HUP; exec "$@" </dev/null >/dev/null 2>&1 8>&8 7<&-) &
    fi
}

# keep_sizes SIZE FILE...: what wc has said.
keep_sizes() { _sizes=" $* "; }

# has_size SIZE FILE, one of the job's: as it was to be? 0 is for no file at all.
has_size() {
    [ "$1" != 0 ] || return 0
    case $_sizes in *" $1 $_new/$2 "*) return 0 ;; esac
    return 1
}

# reason FILE: have somebody tell in $_why, better than our shell, why it cannot be written.
reason() {
    _said=$({ echo | LC_ALL=C cat >>"$1"; } 2>&1)
    _why=${_said:-$_why}
}

# sized FILE SIZE: is it that size?
sized() { [ "$(($(wc -c <"$1")))" = "$2" ]; }

# attach ID TERMS: to a job that there is. If it has just been removed, whoever waits for it sees that.
attach() {
    if [ -d "$1" ] && [ ! -e "$1/terms.$2" ]; then refuse "$1" terms; else record attached "$1"; fi
}

# await NONCE RUN SECONDS BUDGET STREAM ID=TIMEOUT.GRACE=LIMIT... | @LIST: report the jobs that have ended, as soon as
# there is one, or nothing when SECONDS are over. A frame has outputs of BUDGET bytes and then no
# further job. With STREAM 1 frames NONCE.1, NONCE.2, ... follow each other until all have ended or
# the time is over, and an empty one is the last.
await() {
    guard_shell
    # A shell that can bound a read looks around without a fork.
    [ "$_gsh" = "$_sh" ] || exec "$_gsh" $_lent ./supervisor.sh await "$_gsh" "$@"
    _call=$1 _run=$2 _expire=$3 _budget=$4 _stream=$5
    shift 5
    # shellcheck disable=SC2046 # words
    case ${1-} in @*)
        _bell=${1#@}
        set -- $(cat "list.$_bell".*)
        rm -f "list.$_bell".* ;;
    esac
    _nonce=$_call _frames=0 _waiting=$# _ended="" _anew=""
    _bell=${1-} _bell=${_bell%%=*}
    _bell=bell.${_bell#"${_bell%????}"}.$_call
    now
    _begun=$_now
    if mkfifo "$_bell" 2>/dev/null; then exec 4<>"$_bell"; else _bell=; fi
    for _word in "$@"; do
        key_of "${_word%%=*}"
        eval "_waits_$_key=\$_word _pids_$_key="
    done
    # All processes are looked at only when a second has passed without a word: most checks that have
    # ended are told at once.
    _closely="" _closer=yes _looked=0
    find_ended "$@"
    while :; do
        while [ -n "$_ended" ]; do
            [ "$_stream" = 1 ] || break 2
            report_ended
        done
        if [ "$_waiting" -le 0 ] || [ -n "$_anew" ] || [ ! -f supervisor.sh ]; then break; fi
        since "$_begun"
        _left=$((_expire * 100 - _took))
        [ "$_left" -gt 0 ] || break
        if [ "$((_took - _looked))" -ge 150 ]; then
            # One end follows the other, and one that is lost would not be missed.
            _looked=$_took
            look "$@"
            continue
        fi
        _heard=
        if [ -n "$_bell" ]; then
            rounds "$_left"
            hear "$_round" "$_bell"
            [ -p "$_bell" ] || break
        else
            # None can be made here (no space, read-only).
            sleep 1
        fi
        key_of "$_heard"
        case $_heard in
        "" | timer)
            _looked=$((_took + 100))
            look "$@"
            continue ;;
        esac
        case $_key in
        *[!0-9A-Za-z_]*) _word=unknown ;;
        *) eval "_word=\${_waits_$_key-unknown}" ;;
        esac
        case $_word in
        # It has been reported already.
        "") ;;
        # "closed", or a job that was started since, or a part of a word that came just as the time
        # was over: then look once more, and let the caller ask anew.
        unknown)
            find_ended "$@"
            _anew=yes ;;
        *) find_ended "$_word" ;;
        esac
    done
    [ -z "$_bell" ] || rm -f "$_bell"
    [ "$_stream" = 0 ] || _ended=
    report_ended
    exit 0
}

# key_of ID: set $_key to what may end the name of a variable. There are variables for each job that
# is waited for, since a list would have to be searched at each end: $_waits_KEY is its word, empty
# once it has ended, and $_pids_KEY are the processes to look after.
key_of() {
    _key=${1#*-}
}

# find_ended ID=TIMEOUT.GRACE=LIMIT...: move those that have ended from what is waited for to $_ended.
find_ended() {
    for _word in "$@"; do
        key_of "${_word%%=*}"
        eval "_word=\$_waits_$_key"
        if [ -n "$_word" ] && has_ended "${_word%%=*}"; then
            _ended="$_ended $_word"
            eval "_waits_$_key="
        fi
    done
    _closely=
}

# look ID=TIMEOUT.GRACE=LIMIT...: around, after about a second, by builtins alone; closer the first time, and where
# a process or a file is missing.
look() {
    for _word in "$@"; do
        key_of "${_word%%=*}"
        _pids=
        eval "_word=\$_waits_$_key _pids=\$_pids_$_key"
        [ -n "$_word" ] || continue
        [ -p "${_word%%=*}/alive" ] || _closer=yes
        for _pid in $_pids; do
            [ "$_pid" = 0 ] || lives "$_pid" "${_word%%=*}" || _closer=yes
        done
    done
    if [ -n "${_closer-}" ]; then
        _closer="" _closely=yes
        find_ended "$@"
    elif [ -z "$_bell" ]; then
        find_ended "$@"
    fi
}

# report_ended: a frame with jobs of $_ended, which keeps those for which there is no room in it.
report_ended() {
    _frames=$((_frames + 1))
    [ "$_stream" = 0 ] || _nonce=$_call.$_frames
    reply
    _spent=0 _over=""
    for _word in $_ended; do
        if [ "$_spent" -lt "$_budget" ]; then
            report "${_word%%=*}" "${_word##*=}"
            _waiting=$((_waiting - 1))
        else
            _over="$_over $_word"
        fi
    done
    _ended=$_over
    end_frame
}

# has_ended ID, the job of $_key; if not, $_closer says to look again. A job whose guard is gone gets a new
# one, which finds out what became of it.
has_ended() {
    find_state "$1/"
    case $_state in
    state.run.* | state.end.*)
        eval "_pids_$_key=\"$_sup $_gid\""
        _pids=$_gid ;;
    # Removed; or we have looked at it just as it changed; or its guard will make it anew.
    "")
        [ -p "$1/alive" ] || return 0
        _closer=yes
        eval "_pids=\$_pids_$_key" ;;
    *) return 0 ;;
    esac
    [ -n "$_closely" ] || return 1
    for _pid in $_pids; do ! lives "$_pid" "$1" "guard:$1" || return 1; done
    _closer=yes
    # Where no state can be changed, only that nothing is left can be seen to.
    lives "$_sup" "$1" "run:$1" || writable "$1" || ! is_over "$1" || return 0
    regard "$1" "${_word#*=}"
    return 1
}

# is_over ID: is nothing left of its check?
is_over() {
    (
        _id=$1
        cd "$_id" && tree
        [ -z "$_tree" ]
    )
}

# regard ID TIMEOUT.GRACE=LIMIT: start its guard again.
regard() {
    guard_shell
    set -- "$1" "${2%%=*}" "${2#*=}"
    (cd "$1" && exec $_setsid "$_gsh" $_lent ../supervisor.sh guard "$_sh" "$1" "guard:$1" "" "" "${2%.*}" "${2#*.}" "$3" \
        8>/dev/null 4<&- </dev/null >/dev/null 2>&1) &
}

# keep NONCE RUN PART WORD...: for an await that names "@LIST": its words, in files list.PART, where
# PART is LIST.NUMBER, since a request has room for 1,400 of them or so.
keep() {
    _nonce=$1
    _part=$3
    shift 3
    reply
    { (umask 077 && echo "$*" >"new.list.$_part") && mv "new.list.$_part" "list.$_part"; } 2>/dev/null ||
        refuse "*" "cannot write to $PWD"
    finish
}

# cancel NONCE RUN ID...: the guards do it.
cancel() {
    _nonce=$1 _run=$2
    shift 2
    for _id in "$@"; do end_job "$_id" 1000000; done
    reply
    finish
}

# end_job ID GRACE: claim it, with at most this grace, and wake its guard.
end_job() {
    for _ in 1 2 3; do
        find_state "$1/"
        case $_state in state.run.*) ;; *) return 0 ;; esac
        [ "$_grace" -lt "$2" ] || _grace=$2
        if mv "$1/$_state" "$1/state.end.cancel.$_start.$_grace.$_sup.$_gid" 2>/dev/null; then
            echo cancel 1<>"$1/alive"
            return 0
        fi
    done
}

# tail NONCE RUN ID=LIMIT...: report jobs as they stand.
tails() {
    guard_shell
    [ "$_gsh" = "$_sh" ] || exec "$_gsh" $_lent ./supervisor.sh tail "$_gsh" "$@"
    _nonce=$1 _run=$2
    shift 2
    reply
    _spent=0
    for _word in "$@"; do report "${_word%%=*}" "${_word##*=}"; done
    finish
}

# clean NONCE RUN KEEP: end what runs, end the waiters, and remove the run's directory.
clean() {
    _nonce=$1 _run=$2 _keep=$3
    for _word in bell.*; do
        [ -p "$_word" ] && echo closed 1<>"$_word"
    done
    now
    _begun=$_now
    while
        for _word in "$_run"-*/state.run.*; do
            _word=${_word%%/*}
            [ -d "$_word" ] && end_job "$_word" 500
        done
        live
        unfinished
    do
        since "$_begun"
        [ "$_took" -lt 650 ] || break
        nap
    done
    # Stopped, or where nothing can be written any more.
    for _pid in $_live; do kill -KILL "$_pid" 2>/dev/null; done
    kill_strays "$_run"
    reply
    # shellcheck disable=SC2086 # counted as words
    set -- $_tree
    record left "$#"
    [ "$_keep" = 0 ] || printf "" >kept
    cd .. || exit 1
    if [ "$_keep" = 0 ]; then
        # Again, if a request of the same run that was under way has just made a file there.
        _round=0
        while rm -rf "./$_run" 2>/dev/null; [ -d "$_run" ] && [ "$_round" -lt 20 ]; do
            _round=$((_round + 1))
            nap
        done
        [ ! -d "$_run" ] || refuse "*" "cannot remove $PWD/$_run"
    fi
    sweep
    _root=$PWD
    cd / && rmdir "$_root" 2>/dev/null
    finish
}

# unfinished: is there a job that is not over?
unfinished() {
    [ -z "$_live" ] || return 0
    [ -n "${_blind-}" ] || return 1
    for _word in "$_run"-*/state.run.* "$_run"-*/state.end.*; do
        [ ! -e "$_word" ] || return 0
    done
    return 1
}

# kill_strays RUN: what its checks have left running carries the run's cookie.
kill_strays() {
    _rounds=0
    while cookies "$1-"; _tree=${_marked# }; [ -n "$_tree" ] && [ "$_rounds" -lt 20 ]; do
        for _pid in $_tree; do kill -KILL "$_pid" 2>/dev/null; done
        _rounds=$((_rounds + 1))
        nap
    done
}

# sweep: remove the runs, in the user's directory, that nobody ended: untouched for a day, without a
# living supervisor, not kept on purpose, and by name and content ours.
sweep() {
    who
    _others=""
    for _old in *; do
        case $_old in *[!0-9a-f]* | "$_run") continue ;; ????????????) ;; *) continue ;; esac
        if [ -d "$_old" ] && [ ! -h "$_old" ] && [ -f "$_old/supervisor.sh" ] && [ ! -e "$_old/kept" ]; then
            _others="$_others $_old"
        fi
    done
    [ -n "$_others" ] || return 0
    # shellcheck disable=SC2044,SC2086 # words
    for _run in $(find $_others -prune -mtime +0 2>/dev/null); do
        if (cd -P "./$_run" && proven && live && ! unfinished); then
            kill_strays "$_run"
            rm -rf "./$_run"
        fi
    done
}

case $_verb in
start) start "$@" ;;
await) await "$@" ;;
keep) keep "$@" ;;
cancel) cancel "$@" ;;
tail) tails "$@" ;;
clean) clean "$@" ;;
esac
