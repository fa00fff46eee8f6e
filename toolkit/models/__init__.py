"""The learned part: network, weights and the predictor that runs them."""
