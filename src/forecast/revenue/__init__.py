"""What will be booked, from what is booked, what is open and what is not yet created, beside its time series."""
