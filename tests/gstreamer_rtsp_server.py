"""GStreamer's RTSP server with a moving test picture: a second opinion on what a camera sends.

Run by the system's Python, which has ``gi``, with a port (0 takes one that is free) and the name of a codec.
Prints the address, serves until standard input closes.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  versions are chosen before the import

_BALL = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 ! "
_CODECS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 threads=1 "
    "! rtph264pay name=pay0 pt=96 config-interval=1",
    "jpeg": "videoconvert ! video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}


def main() -> None:
    port, codec = sys.argv[1:]
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {_BALL} {_CODECS[codec]} )")
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.get_mount_points().add_factory("/ball", factory)
    server.attach(None)
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, lambda *_: loop.quit())
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/ball", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
