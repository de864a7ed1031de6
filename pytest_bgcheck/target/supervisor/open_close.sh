# The requests that ask probers what they see in a window: open and close. A prober is told by a line in
# its FIFO `ask`: see probe.sh. The time of each is that of the request, whenever its prober comes to it.

# open_windows: open windows, without waiting for their probers.
open_windows() {
    reply
    each_job open_window "$@"
    finish
}

open_window() {
    check_window
    prober_lives || return 0
    if [ -e "$_id/full" ]; then
        refuse "$_id" "200 of its windows are open"
        return
    fi
    now
    echo "${_newline}open $_window $_now" 1<>"$_id/ask"
    record opened "$_id" "$_window"
}

# check_window: refuse the request if the job's window has no name, or an odd one.
check_window() {
    case $_window in
    "") lacks window ;;
    *[!0123456789A-Za-z]*) refuse "*" "a window is named with letters and digits"; finish ;;
    esac
}

# prober_lives: is the job $_id a probe that runs? If not, refuse it.
prober_lives() {
    for _ in 1 2 3; do
        find_state "$_id/"
        # It may be changing its name in this instant.
        { [ -z "$_state" ] && [ -p "$_id/alive" ]; } || break
        nap
    done
    case $_state in
    state.run.*)
        if [ ! -p "$_id/ask" ]; then
            refuse "$_id" "it is no probe"
        elif looks_after "$_supervisor" "$_id" "run:$_id"; then
            return 0
        else
            refuse "$_id" "its prober has ended"
        fi ;;
    "") refuse "$_id" gone ;;
    *) refuse "$_id" "it has ended" ;;
    esac
    return 1
}

# close_windows: close windows, and tell what was seen in each, as soon as all probers have answered, or the
# time is over.
close_windows() {
    find_guard_shell
    [ "$_guard_shell" = "$_sh" ] ||
        exec "$_guard_shell" $_shell_option ./supervisor.sh close "$_guard_shell" "$_nonce" "$_run" "$@"
    _proof="" _closely=yes _closely_next="" _waiting=0 _closing="" _answered=" "
    reply
    _bell=reply.$_nonce
    if mkfifo "$_bell" 2>/dev/null; then exec 4<>"$_bell"; else _bell=; fi
    now
    _asked=$_now _looked=0
    each_job close_window "$@"
    [ -n "$_expire_s" ] || { rm -f "$_bell"; lacks expire_s; }
    while tell_closed; [ -n "$_closing" ] && [ -f supervisor.sh ]; do
        since "$_asked"
        _left=$((_expire_s * 100 - _took))
        [ "$_left" -gt 0 ] || break
        if [ "$((_took - _looked))" -ge 100 ]; then
            _looked=$_took
            look_after_probers
            continue
        fi
        _heard=""
        if [ -n "$_bell" ]; then
            next_round "$_left"
            hear "$_round" "$_bell"
        else
            nap
        fi
        case $_heard in *[!0123456789A-Za-z]* | "") ;; *) _answered="$_answered$_heard " ;; esac
    done
    _why="its prober was stopped or is stuck"
    # Where no FIFO could be made it cannot say that it has no space for a file.
    [ -n "$_bell" ] || _why="no space left on the target"
    for _word in $_closing; do refuse "${_word%/*}" "$_why"; done
    [ -z "$_bell" ] || rm -f "$_bell"
    finish
}

# close_window: have the job's window closed, unless it is.
close_window() {
    check_window
    await_job
    if [ ! -f "$_id/window.$_window" ]; then
        prober_lives || return 0
        now
        echo "${_newline}close $_window $_now $_nonce" 1<>"$_id/ask"
    fi
    _closing="$_closing $_id/$_window"
}

# tell_closed: tell the windows of $_closing of which there is an answer.
tell_closed() {
    _words=$_closing _closing=""
    for _word in $_words; do
        if [ -f "${_word%/*}/window.${_word#*/}" ]; then
            tell_window "${_word%/*}" "${_word#*/}"
        else
            case $_answered in
            *" ${_word#*/} "*) refuse "${_word%/*}" "no space left on the target" ;;
            *) _closing="$_closing $_word" ;;
            esac
        fi
    done
}

# tell_window ID WID: tell what was seen in a window.
tell_window() {
    case $(tail -n 1 "$1/window.$2") in
    end)
        record window "$1" "$2"
        flush
        head -c 60000 "$1/window.$2" | $_encoder
        end_data ;;
    refused) refuse "$1" "the window was not open: a probe has 200 at the most" ;;
    *) refuse "$1" "no space left on the target" ;;
    esac
}

# look_after_probers: refuse the windows of $_closing whose probes have ended, and start guards that are gone,
# about once a second.
look_after_probers() {
    _words=$_closing _closing=""
    for _word in $_words; do
        _closely=yes
        key_of "${_word%/*}"
        if has_ended "${_word%/*}" && [ ! -f "${_word%/*}/window.${_word#*/}" ]; then
            refuse "${_word%/*}" "its prober has ended"
        else
            _closing="$_closing $_word"
        fi
    done
}
