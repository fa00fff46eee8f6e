"""The contenders of ``toolkit bench live``, and what is measured of them."""
