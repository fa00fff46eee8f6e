"""Cameras on the network that can be had anywhere: films served over RTSP."""
