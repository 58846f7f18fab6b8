"""What every live source shares: devices, the progress of their time, a bounded queue, a thread."""
