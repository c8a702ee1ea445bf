# packages: boto3
# result: [["one"],"https://my-bucket.s3.amazonaws.com/k"]
import boto3
from botocore.stub import Stubber
s3 = boto3.client("s3", region_name="eu-north-1", aws_access_key_id="id", aws_secret_access_key="key")
with Stubber(s3) as stub:
    stub.add_response("list_buckets", {"Buckets": [{"Name": "one"}]})
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
set_result([names, s3.generate_presigned_url("get_object", {"Bucket": "my-bucket", "Key": "k"}).split("?")[0]])
