"""A plugin in another language, with its standard library alone: each line of JSON is a message, on stdin and stdout.

An engine starts it: `transport_ipc::child("python", Program::new("python3").arg("plugin.py"))`.
"""
import itertools, json, sys

wire, sys.stdout = sys.stdout, sys.stderr  # a stray `print` cannot break a message
numbers, answers = itertools.count(), {}

def send(**message):
    wire.write(json.dumps(message) + "\n")
    wire.flush()

def receive():
    message = json.loads(sys.stdin.buffer.readline() or sys.exit())  # no more lines: the engine is done with us
    if message["action"] == "response":
        answers[message["id"]] = message
    elif message["action"] == "request":
        answer = {field: message[field] for field in ("id", "name", "key")}
        try:
            answer["payload"] = METHODS[message["key"]](*message["payload"])
        except Exception as error:
            answer["error"] = str(error) or repr(error)
        send(action="response", **answer)

def call(plugin, method, *args):
    """Calls another plugin; until it has answered, this one answers whatever it is asked."""
    number = next(numbers)
    send(action="request", id=number, name=plugin, key=method, payload=args)
    while number not in answers:
        receive()
    answer = answers.pop(number)
    if "error" in answer:
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
