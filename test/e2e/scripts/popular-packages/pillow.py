# packages: pillow
# result: ["PNG",[255,0,0],[64,64]]
import io
from PIL import Image, ImageDraw, ImageFilter
im = Image.new("RGB", (64, 64), "white")
ImageDraw.Draw(im).ellipse((16, 16, 48, 48), fill=(255, 0, 0))
im.filter(ImageFilter.BLUR).rotate(45).save(file := io.BytesIO(), "PNG")
set_result([Image.open(file).format, im.getpixel((32, 32)), im.size])
