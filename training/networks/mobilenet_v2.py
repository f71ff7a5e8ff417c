"""MobileNetV2 as its paper draws it, for the weights that torchvision published.

The modules are nested as in torchvision's checkpoint, so that its keys fit as they are; the network answers what the
fleet serves: class probabilities and the pooled features before the classifier. It is for inference alone: dropout and
the initialisation of new weights are left out. Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", table 2.
"""

import torch
from torch import Tensor, nn

FEATURE_COUNT = 1280
CLASS_COUNT = 1000

# Expansion, channels, how often the block stands, stride of the first: table 2 of the paper.
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM_CHANNELS = 32


class MobileNetV2(nn.Module):
    """float32[N, 3, 224, 224], normalised -> probabilities float32[N, 1000] and features float32[N, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, STEM_CHANNELS, kernel=3, stride=2)]
        channels = STEM_CHANNELS
        for expansion, width, count, first_stride in BLOCKS:
            for place in range(count):
                layers.append(InvertedResidual(channels, width, first_stride if place == 0 else 1, expansion))
                channels = width
        layers.append(_convolution(channels, FEATURE_COUNT, kernel=1))
        self.features = nn.Sequential(*layers)
        # Place 0 is the checkpoint's dropout, which does nothing in inference.
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(FEATURE_COUNT, CLASS_COUNT))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        maps: Tensor = self.features(pixels)
        pooled = maps.mean(dim=(2, 3))
        logits: Tensor = self.classifier(pooled)
        return torch.softmax(logits, dim=1), pooled


class InvertedResidual(nn.Module):
    """Widen by 1×1, filter each channel by 3×3, narrow by 1×1 and no activation; the input is added where it fits."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_convolution(channels_in, hidden, kernel=1)]
        layers += [
            _convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, maps: Tensor) -> Tensor:
        narrowed: Tensor = self.conv(maps)
        return maps + narrowed if self.residual else narrowed


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    padding = (kernel - 1) // 2
    filters = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(filters, nn.BatchNorm2d(channels_out), nn.ReLU6())
