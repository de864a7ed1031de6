# The requests that end jobs: cancel, and clean, which ends the run and removes what it has left on
# the target.

# cancel: claim the end of jobs; their guards do the rest.
cancel() {
    reply
    each_job cancel_job "$@"
    finish
}

cancel_job() { end_job "$_id" 1000000; }

# end_job ID GRACE: change its state to its end, with at most this grace, and wake its guard.
end_job() {
    for _ in 1 2 3; do
        find_state "$1/"
        case $_state in state.run.*) ;; *) return 0 ;; esac
        [ "$_grace" -lt "$2" ] || _grace=$2
        if mv "$1/$_state" "$1/state.end.cancel.$_start.$_grace.$_supervisor.$_guard" 2>/dev/null; then
            echo cancel 1<>"$1/alive"
            return 0
        fi
    done
}

# clean: end what runs, end the requests that wait, and remove the run's directory.
clean() {
    reply
    each_job : "$@"
    [ -n "$_keep" ] || lacks keep
    for _word in bell.*; do
        [ -p "$_word" ] && echo closed 1<>"$_word"
    done
    rm -f follow.* 2>/dev/null
    now
    _begun=$_now
    while
        for _word in "$_run"-*/state.run.*; do
            _word=${_word%%/*}
            [ -d "$_word" ] && end_job "$_word" 500
        done
        find_live
        unfinished
    do
        since "$_begun"
        [ "$_took" -lt 650 ] || break
        nap
    done
    # These were stopped, or nothing can be written here any more.
    for _pid in $_live; do kill -KILL "$_pid" 2>/dev/null; done
    kill_strays "$_run"
    # shellcheck disable=SC2086 # counted as words
    set -- $_tree
    record left "$#"
    [ "$_keep" = 0 ] || printf "" >kept
    cd .. || exit 1
    if [ "$_keep" = 0 ]; then
        # Again, since a request of the same run that is under way may just have made a file there.
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

# unfinished: is there a job that has not ended? Where no process can be seen, the states tell.
unfinished() {
    [ -z "$_live" ] || return 0
    [ -n "${_blind-}" ] || return 1
    for _word in "$_run"-*/state.run.* "$_run"-*/state.end.*; do
        [ ! -e "$_word" ] || return 0
    done
    return 1
}

# kill_strays RUN: kill what the run's checks have left running: it has the run's id in its
# environment.
kill_strays() {
    _rounds=0
    while find_marked "$1-"; _tree=${_marked# }; [ -n "$_tree" ] && [ "$_rounds" -lt 20 ]; do
        for _pid in $_tree; do kill -KILL "$_pid" 2>/dev/null; done
        _rounds=$((_rounds + 1))
        nap
    done
}

# sweep: remove the runs that nobody has ended, in the user's directory: untouched for a day,
# without a living supervisor, not kept on purpose, and by name and content a run's.
sweep() {
    find_user
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
        if (cd -P "./$_run" && proven && find_live && ! unfinished); then
            kill_strays "$_run"
            rm -rf "./$_run"
        fi
    done
}
