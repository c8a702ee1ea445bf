# packages: pymongo
# result: [{"x":[1,2.5,null]},"test","0123456789ab0123456789ab"]
import pymongo
from bson import ObjectId, decode, encode
client = pymongo.MongoClient("nowhere.example", 27017, serverSelectionTimeoutMS=500)
try: client.test.my_collection.insert_one({"x": 10})
except pymongo.errors.ServerSelectionTimeoutError as error: print(type(error).__name__)
set_result([decode(encode({"x": [1, 2.5, None]})), client.test.name, str(ObjectId("0123456789ab0123456789ab"))])
