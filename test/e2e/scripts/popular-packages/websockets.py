# packages: websockets
# result: [101,"CONNECTING"]
from websockets.client import ClientProtocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
client, server = ClientProtocol(parse_uri("ws://example.com/")), ServerProtocol()
client.send_request(client.connect())
server.receive_data(b"".join(client.data_to_send()))
set_result([server.accept(server.events_received()[0]).status_code, client.state.name])
