# A worker in POSIX sh, as docs/ssh.md tells what one says and hears. Values are JSON; it turns a
# text into capitals.

# say KIND NUMBER BODY: sends a frame.
say() {
    printf '%s %s %s\n%s' "$1" "$2" "$(printf %s "$3" | wc -c | tr -d ' ')" "$3"
}

# raise NUMBER KIND TEXT: the task has failed.
raise() {
    say raised "$1" "[\"$2\", \"$3\", \"\", [\"$3\"], null]"
}

say meshcluster-worker 1 "{\"pid\": $$, \"host\": \"sh\", \"serializer\": \"json\", \"pings\": false}"
while IFS=' ' read -r kind number length _; do
    body=$(dd bs=1 count="$length" 2>/dev/null)
    case $kind in
    call)
        case $body in
        '"die"')
            echo "such is life" >&2
            exit 7
            ;;
        \"*)
            say out "$number" "asked $body
"
            say done "$number" "$(printf %s "$body" | tr '[:lower:]' '[:upper:]')"
            ;;
        *) raise "$number" TypeError "no text" ;;
        esac
        ;;
    run) raise "$number" LookupError "this worker has one function" ;;
    ping) say pong "$number" "" ;;
    bye) exit 0 ;;
    esac
done
