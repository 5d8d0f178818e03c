"""A line chart as a PNG image, with nothing but the standard library."""

import itertools
import struct
import zlib

WIDTH, HEIGHT, MARGIN = 480, 240, 24
GRID, COLORS = (208, 208, 208), ((214, 96, 39), (33, 102, 172))


def line_chart(*series):
    """Draw each series of numbers from left to right; give the bytes of a PNG."""
    pixels = [[(255, 255, 255)] * WIDTH for _ in range(HEIGHT)]
    low, high = min(map(min, series)), max(map(max, series))
    for fraction in (0, 0.25, 0.5, 0.75, 1):
        row = round(MARGIN + fraction * (HEIGHT - 2 * MARGIN))
        for column in range(MARGIN, WIDTH - MARGIN):
            pixels[row][column] = GRID
    for values, color in zip(series, COLORS, strict=False):
        points = [
            (
                MARGIN + index * (WIDTH - 2 * MARGIN - 2) / (len(values) - 1),
                HEIGHT - MARGIN - (value - low) / (high - low) * (HEIGHT - 2 * MARGIN),
            )
            for index, value in enumerate(values)
        ]
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            steps = int(max(abs(x1 - x0), abs(y1 - y0))) + 1
            for step in range(steps + 1):
                x, y = x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps
                for dx in (0, 1):
                    for dy in (0, 1):
                        pixels[min(int(y) + dy, HEIGHT - 1)][int(x) + dx] = color
    rows = b"".join(b"\0" + bytes(channel for pixel in row for channel in pixel) for row in pixels)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
