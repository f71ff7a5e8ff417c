"""Pictures to tensors: the manifest's formula, exactly, and the way back to the picture's pixels."""

from io import BytesIO

import numpy as np
import pytest
import skimage.data
from PIL import Image

from argosy.v1 import manifest_pb2 as pb
from services.runtime.errors import ServingError
from services.vision.preprocess import ImageReader, Placement

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


def png(pixels: np.ndarray) -> bytes:
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def preprocessing(**changes: object) -> pb.ImagePreprocessing:
    stated: dict[str, object] = {
        "input": "image",
        "width": 224,
        "height": 224,
        "color": pb.COLOR_SPACE_RGB,
        "layout": pb.IMAGE_LAYOUT_NCHW,
        "resize": pb.RESIZE_MODE_CROP,
        "shorter_side": 256,
        "interpolation": pb.INTERPOLATION_BILINEAR,
        "scale": 1 / 255,
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
    }
    return pb.ImagePreprocessing(**(stated | changes))


def read(spec: pb.ImagePreprocessing, *images: bytes, dtype: type[np.generic] = np.float32) -> np.ndarray:
    return ImageReader(spec, np.dtype(dtype)).read(images).tensor


def test_a_photo_becomes_what_the_formula_says() -> None:
    photo = Image.fromarray(skimage.data.coffee())  # 600 x 400
    resized = np.asarray(photo.resize((384, 256), Image.Resampling.BILINEAR), np.float32)
    pixels = resized[16:240, 80:304]
    scale, mean, std = (np.array(v, np.float32) for v in (1 / 255, IMAGENET_MEAN, IMAGENET_STD))
    expected = ((pixels * scale - mean) / std).transpose(2, 0, 1)
    tensor = read(preprocessing(), png(skimage.data.coffee()))
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert np.array_equal(tensor[0], expected)


def test_no_scale_mean_or_std_leaves_the_pixels_as_they_are() -> None:
    spec = preprocessing(
        width=512, height=512, resize=pb.RESIZE_MODE_STRETCH, scale=0, mean=[], std=[], layout=pb.IMAGE_LAYOUT_NHWC
    )
    assert np.array_equal(read(spec, png(skimage.data.astronaut()))[0], skimage.data.astronaut().astype(np.float32))


def test_a_network_of_bytes_gets_the_pixels_themselves() -> None:
    spec = preprocessing(
        width=512, height=512, resize=pb.RESIZE_MODE_STRETCH, scale=0, mean=[], std=[], layout=pb.IMAGE_LAYOUT_NHWC
    )
    tensor = read(spec, png(skimage.data.astronaut()), dtype=np.uint8)
    assert tensor.dtype == np.uint8
    assert np.array_equal(tensor[0], skimage.data.astronaut())


def test_layout_and_colour_order_only_move_the_numbers() -> None:
    photo = png(skimage.data.chelsea())
    plain = preprocessing(mean=[], std=[])
    rgb_first = read(plain, photo)[0]
    bgr = pb.ImagePreprocessing()
    bgr.CopyFrom(plain)
    bgr.color = pb.COLOR_SPACE_BGR
    bgr.layout = pb.IMAGE_LAYOUT_NHWC
    assert np.array_equal(read(bgr, photo)[0], rgb_first[::-1].transpose(1, 2, 0))


def test_mean_and_std_are_those_of_the_channels_in_the_networks_order() -> None:
    spec = preprocessing(color=pb.COLOR_SPACE_BGR, mean=[1, 2, 3], std=[1, 2, 4], scale=1)
    blue = np.zeros((224, 224, 3), np.uint8)
    blue[:, :, 2] = 100
    assert read(spec, png(blue))[0, :, 5, 5].tolist() == [99, -1, -0.75]


def test_a_gray_network_gets_one_channel() -> None:
    spec = preprocessing(
        width=28, height=28, color=pb.COLOR_SPACE_GRAY, layout=pb.IMAGE_LAYOUT_NHWC, mean=[], std=[],
        resize=pb.RESIZE_MODE_STRETCH,
    )  # fmt: skip
    drawn = np.zeros((28, 28), np.uint8)
    drawn[4:24, 12:16] = 255
    tensor = read(spec, png(drawn))
    assert tensor.shape == (1, 28, 28, 1)
    assert np.array_equal(tensor[0, :, :, 0], drawn.astype(np.float32) * np.float32(1 / 255))


def test_letterbox_keeps_the_aspect_ratio_and_leaves_the_rest_black() -> None:
    spec = preprocessing(resize=pb.RESIZE_MODE_LETTERBOX, mean=[], std=[], scale=1)
    white = np.full((100, 400, 3), 255, np.uint8)
    tensor = read(spec, png(white))[0]
    assert (tensor[:, :56] == 255).all()
    assert (tensor[:, 56:] == 0).all()


@pytest.mark.parametrize("resize", [pb.RESIZE_MODE_STRETCH, pb.RESIZE_MODE_CROP, pb.RESIZE_MODE_LETTERBOX])
@pytest.mark.parametrize("shape", [(400, 600), (600, 400), (224, 224), (1, 3), (37, 500)])
def test_points_on_the_network_are_brought_back_to_the_picture(resize: int, shape: tuple[int, int]) -> None:
    # A picture whose brightness says where it is: the centre of a network pixel must lie where its brightness says.
    ramp = np.tile(np.linspace(0, 255, shape[1]), (shape[0], 1)).round().astype(np.uint8)
    spec = preprocessing(resize=resize, mean=[], std=[], scale=1, color=pb.COLOR_SPACE_GRAY)
    request = ImageReader(spec, np.dtype(np.float32)).read([png(ramp)])
    placement = request.placements[0]
    assert (placement.width, placement.height) == (shape[1], shape[0])
    row = 0 if resize == pb.RESIZE_MODE_LETTERBOX else 112
    for column in (60, 112, 160):
        point = placement.to_picture(np.array([column + 0.5, row + 0.5], np.float32))
        if not 0 < point[0] < shape[1]:
            continue
        told = request.tensor[0, 0, row, column] / 255 * (shape[1] - 1) + 0.5
        assert abs(told - point[0]) < max(1.5, shape[1] / 100)


def test_placement_undoes_scale_and_offset() -> None:
    placement = Placement(width=600, height=400, scale_x=0.5, scale_y=2, offset_x=-10, offset_y=4)
    points = np.array([[600 * 0.5 - 10, 400 * 2 + 4], [-10, 4]], np.float32)
    assert placement.to_picture(points).tolist() == [[600, 400], [0, 0]]


def test_a_strip_whose_shorter_side_would_grow_beyond_the_limit_is_refused_before_any_is_decoded(
    decoded: list[tuple[int, int]],
) -> None:
    good, strip = png(np.zeros((50, 50), np.uint8)), png(np.zeros((2, 65_000), np.uint8))
    with pytest.raises(ServingError, match=r"^images\[1\]: 8320000 x 256 is 2129920000 pixels") as raised:
        read(preprocessing(), good, strip)
    assert (raised.value.reason, decoded) == ("IMAGE_TOO_LARGE", [])


def test_an_image_is_prepared_alike_alone_and_among_others() -> None:
    photos = [png(photo) for photo in (skimage.data.coffee(), skimage.data.chelsea(), skimage.data.astronaut())]
    together = read(preprocessing(), *photos)
    for row, photo in enumerate(photos):
        assert np.array_equal(together[row], read(preprocessing(), photo)[0])


def test_the_first_bad_image_is_named_by_its_index() -> None:
    good = png(skimage.data.astronaut())
    with pytest.raises(ServingError, match=r"^images\[1\]: expected a JPEG"):
        read(preprocessing(), good, b"no image", good)
    with pytest.raises(ServingError, match=r"^images\[1\]: the PNG file of 5000 bytes is broken"):
        read(preprocessing(), good, good[:5000], good[:6000])


def test_requests_are_collated_in_their_order() -> None:
    reader = ImageReader(preprocessing(), np.dtype(np.float32))
    first = reader.read([png(skimage.data.coffee())])
    second = reader.read([png(skimage.data.chelsea()), png(skimage.data.astronaut())])
    batch = reader.collate([first, second])
    assert list(batch) == ["image"]
    assert np.array_equal(batch["image"], np.concatenate([first.tensor, second.tensor]))
    assert np.array_equal(reader.collate([second])["image"], second.tensor)


def test_more_images_than_a_request_may_become_are_refused_before_any_is_decoded() -> None:
    with pytest.raises(ServingError, match=r"^images: expected at most 445 a request, got 100000$") as raised:
        read(preprocessing(), *[b"no image"] * 100_000)
    assert raised.value.reason == "TOO_MANY_IMAGES"


def test_images_of_more_pixels_than_a_request_may_have_are_refused_before_any_is_decoded(
    decoded: list[tuple[int, int]],
) -> None:
    out = BytesIO()
    Image.new("1", (7000, 7000)).save(out, "PNG")
    with pytest.raises(ServingError, match=r"^images: the first 9 have 441000000 pixels") as raised:
        read(preprocessing(), *[out.getvalue()] * 400)
    assert (raised.value.reason, decoded) == ("IMAGE_TOO_LARGE", [])


def jpeg(side: int) -> bytes:
    out = BytesIO()
    Image.fromarray(skimage.data.astronaut()).resize((side, side)).save(out, "JPEG", quality=90)
    return out.getvalue()


def test_a_large_jpeg_becomes_nearly_the_pixels_that_it_would_become_whole() -> None:
    spec = preprocessing(scale=1, mean=[], std=[])
    whole = Image.open(BytesIO(jpeg(1600))).resize((256, 256), Image.Resampling.BILINEAR).crop((16, 16, 240, 240))
    found = read(spec, jpeg(1600))[0].transpose(1, 2, 0)
    difference = np.abs(found - np.asarray(whole, np.float32))
    assert 0 < difference.mean() < 0.5


@pytest.mark.parametrize("resize", [pb.RESIZE_MODE_STRETCH, pb.RESIZE_MODE_LETTERBOX])
def test_a_jpeg_is_decoded_whole_where_the_middle_is_not_cut_out(resize: "pb.ResizeMode.ValueType") -> None:
    spec = preprocessing(resize=resize, scale=1, mean=[], std=[])
    whole = Image.open(BytesIO(jpeg(1600))).resize((224, 224), Image.Resampling.BILINEAR)
    assert np.array_equal(read(spec, jpeg(1600))[0].transpose(1, 2, 0), np.asarray(whole, np.float32))
