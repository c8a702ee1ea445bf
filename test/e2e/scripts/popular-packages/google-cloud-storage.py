# packages: google-cloud-storage
# result: ["https://storage.googleapis.com/my-bucket/a/b.txt","/b/my-bucket"]
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
client = storage.Client(project="test", credentials=AnonymousCredentials())
bucket = client.bucket("my-bucket")
set_result([bucket.blob("a/b.txt").public_url, bucket.path])
