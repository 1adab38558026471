"""What tests share: tiny models, a served app, a made-up hub.

No test lives here.
"""
