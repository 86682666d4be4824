"""Recurrent networks: RNN, LSTM and GRU."""
