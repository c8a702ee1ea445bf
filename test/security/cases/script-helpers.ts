/** Python helpers for HTTP: `get` uses urllib as usual scripts do, `raw` sends bytes to the proxy. */
export const HTTP_HELPERS = `
import json, os, socket, urllib.error, urllib.request

def get(url, data=None, **headers):
    request = urllib.request.Request(url, data, {name.replace("_", "-"): text for name, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return [response.status, response.read().decode(), dict(response.headers)]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode(), dict(error.headers)]
    except OSError as error:
        return [0, str(error), {}]

def raw(text):
    """Sends bytes to the proxy as they are; gives all that comes back."""
    address = os.environ["HTTP_PROXY"].rpartition("@")[2]
    host, _, port = address.partition(":")
    import base64
    credentials = base64.b64encode(os.environ["HTTP_PROXY"][7:].rpartition("@")[0].encode()).decode()
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(text.replace("AUTH", f"Proxy-Authorization: Basic {credentials}").encode())
        connection.settimeout(5)
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
        except OSError:
            pass
    return answer.decode("latin1")
`;
