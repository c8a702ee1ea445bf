# packages: cryptography
# result: ["A really secret message. Not for prying eyes.","ab530a13e4591498"]
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
f = Fernet(Fernet.generate_key())
token = f.encrypt(b"A really secret message. Not for prying eyes.")
digest = hashes.Hash(hashes.SHA256()); digest.update(b"message")
set_result([f.decrypt(token).decode(), digest.finalize().hex()[:16]])
