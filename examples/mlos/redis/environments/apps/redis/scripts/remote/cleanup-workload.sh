#!/bin/bash
# redis-benchmark leaves nothing behind.
