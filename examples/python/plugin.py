"""A plugin in another language, with its standard library alone: each line of JSON is a message, on stdin and stdout.

An engine starts it: `transport_ipc::child("python", Program::new("python3").arg("plugin.py"))`.
"""
import itertools, json, re, sys

wire, sys.stdout = sys.stdout, sys.stderr  # a stray `print` cannot break a message
numbers, answers = itertools.count(), {}

def send(**message):
    wire.write(json.dumps(message, allow_nan=False) + "\n")  # raises what is no JSON, before a byte is written
    wire.flush()

def read(line):
    """A message; of one that Python cannot read (too deep, an integer of too many digits) what it takes to say so."""
    try:
        message = json.loads(line)
        return message if isinstance(message, dict) else {}
    except (ValueError, RecursionError) as error:
        head = line.partition(b'"payload"')[0]
        action, number = re.search(rb'"action":"(\w+)"', head), re.search(rb'"id":(-?\d+)', head)
        if not (action and number):
            return {}
        return {"action": action[1].decode(), "id": int(number[1]), "error": f"it cannot be read: {error!r:.200}"}

def receive():
    message = read(sys.stdin.buffer.readline() or sys.exit())  # no more lines: the engine is done with us
    if message.get("action") == "response":
        answers[str(message.get("id"))] = message
    elif message.get("action") in ("request", "call"):
        answer = {field: message[field] for field in ("id", "name", "key") if field in message}
        try:
            if "error" in message:
                raise ValueError(message["error"])
            if message["key"] not in METHODS:
                raise LookupError(f"Method {message['key']} doesn't exist on plugin {message.get('name')}")
            send(action="response", **answer, payload=METHODS[message["key"]](*message["payload"]))
        except Exception as error:  # the method's own, or its result is no JSON
            send(action="response", **answer, error=str(error) or repr(error))

def call(plugin, method, *args):
    """Calls another plugin; until it has answered, this one answers whatever it is asked."""
    number = next(numbers)
    send(action="request", id=number, name=plugin, key=method, payload=args)
    while str(number) not in answers:
        receive()
    answer = answers.pop(str(number))
    if answer.get("error"):
        raise RuntimeError(answer["error"])
    return answer.get("payload")

def greet(name):
    send(action="emit", key="greeted", payload=[name])
    return f"Hello, {name}!"

METHODS = {"add": lambda a, b: a + b, "greet": greet, "relay": call}
METHODS["handshake"] = lambda *_: [name for name in METHODS if name != "handshake"]

send(action="request", id=-1, key="handshake")
while True:
    receive()
