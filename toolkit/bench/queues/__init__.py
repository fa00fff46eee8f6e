"""The contenders of ``toolkit bench queue``, and what is measured of them."""
